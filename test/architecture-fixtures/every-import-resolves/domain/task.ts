import { thing } from './gone.ts';
export const used = thing;
