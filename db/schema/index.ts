export * from './access.ts';
export * from './gate.ts';
export * from './log.ts';
export * from './notify.ts';
export * from './watch.ts';
export * from './work.ts';
