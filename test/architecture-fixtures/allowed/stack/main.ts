import { spawn } from 'node:child_process';
import { used } from '../db/tasks.ts';
import { task } from '../domain/task.ts';
export const stack = [spawn, used, task];
