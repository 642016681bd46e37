import { thing } from '../db/tasks.ts';
export const used = thing;
