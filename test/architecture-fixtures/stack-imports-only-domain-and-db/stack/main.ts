import { thing } from '../api/main.ts';
export const used = thing;
