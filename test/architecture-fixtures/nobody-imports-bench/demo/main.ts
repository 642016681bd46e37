import { thing } from '../bench/main.ts';
export const used = thing;
