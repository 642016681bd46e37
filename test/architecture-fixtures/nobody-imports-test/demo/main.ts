import { thing } from '../test/support/factories.ts';
export const used = thing;
