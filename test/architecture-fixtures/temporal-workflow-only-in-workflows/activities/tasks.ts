import { sleep } from '@temporalio/workflow';
export const used = sleep;
