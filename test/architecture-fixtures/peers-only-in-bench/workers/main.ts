import { run } from 'graphile-worker';
export const used = run;
