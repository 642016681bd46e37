import { thing } from '../api/app.ts';
export const used = thing;
