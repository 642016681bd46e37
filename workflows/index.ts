export { auditAnchor } from './audit-anchor.ts';
export { haloCycle } from './halo-cycle.ts';
export { haloLoop } from './halo-loop.ts';
export { notification } from './notification.ts';
export { probeRun } from './probe-run.ts';
export { replay } from './replay.ts';
export { subscription } from './subscription.ts';
export { task } from './task.ts';
