import { ApplicationFailure } from '@temporalio/common';
import { sleep } from '@temporalio/workflow';
import type { TaskActivities } from '../activities/tasks.ts';
import { task } from '../domain/task.ts';
import { taskStateQuery } from './messages.ts';
export type TaskInput = TaskActivities;
export const used = [ApplicationFailure, sleep, task, taskStateQuery];
export type Loaded = typeof import('../activities/tasks.ts');
