import { defineQuery } from '@temporalio/workflow';
export const taskStateQuery = defineQuery('taskState');
