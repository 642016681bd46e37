import { thing } from '../workflows/messages.ts';
export const used = thing;
