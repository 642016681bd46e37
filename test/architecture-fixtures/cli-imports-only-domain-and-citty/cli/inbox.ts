import { thing } from '../db/approvals.ts';
export const used = thing;
