import { spawn } from 'node:child_process';
import { lock } from './lock.mjs';
export const used = [spawn, lock];
