export * from './access.ts';
export * from './chain.ts';
export * from './gate.ts';
export * from './kill-switch.ts';
export * from './log.ts';
export * from './shield.ts';
export * from './watch.ts';
export * from './work.ts';
