import { once } from 'node:events';
import { Client } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { cli } from '../cli/main.ts';
import { task } from '../domain/task.ts';
import { stack } from '../stack/main.ts';
export const demo = [once, Client, Worker, cli, task, stack];
