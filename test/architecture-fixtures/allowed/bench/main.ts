import { once } from 'node:events';
import { Client } from '@temporalio/client';
import { cli } from '../cli/main.ts';
import { used } from '../db/tasks.ts';
import { task } from '../domain/task.ts';
import { stack } from '../stack/main.ts';
export const bench = [once, Client, cli, used, task, stack];
