import { thing } from '../../demo/main.ts';
export const used = thing;
