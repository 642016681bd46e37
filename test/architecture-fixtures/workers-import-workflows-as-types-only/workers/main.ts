import { thing } from '../workflows/task.ts';
export const used = thing;
