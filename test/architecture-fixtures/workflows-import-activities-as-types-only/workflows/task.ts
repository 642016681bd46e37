import { thing } from '../activities/tasks.ts';
export const used = thing;
