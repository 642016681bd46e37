import { stdout } from 'node:process';
import { defineCommand } from 'citty';
import { task } from '../domain/task.ts';
export const cli = [stdout, defineCommand, task];
