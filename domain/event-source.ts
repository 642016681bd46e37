import { matchesType } from './subscription.ts';

/** They tell what this system did, and come from the system itself (SEC-004). */
const closedTypes: readonly string[] = [
  ...['halo.*', 'squad.*', 'graft.*', 'spore.*', 'api.probe.*'],
  ...['security.*', 'approval.*', 'policy.*', 'kill-switch.*', 'audit.*', 'notification.*'],
  ...['bus.*', 'event.processing.*'],
];

/** Whether this type may come from outside at all. */
export function isOpenType(type: string): boolean {
  return !closedTypes.some((pattern) => matchesType(pattern, type));
}
