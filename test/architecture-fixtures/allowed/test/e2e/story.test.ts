import { sleep } from '@temporalio/workflow';
import postgres from 'postgres';
import { app } from '../../api/app.ts';
import { worker } from '../../workers/main.ts';
import { used } from '../../workflows/task.ts';
export const story = [sleep, postgres, app, worker, used];
