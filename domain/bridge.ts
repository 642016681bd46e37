import { maxHops } from './events.ts';
import { refuse, type Refusal } from './refusal.ts';

/*
 * Star Bridge Lungs (N-055): other DreamNets that events are sent to and taken from. Each installation an event passes
 * writes itself into its path, so that none takes it a second time.
 */
export const clusterStates = ['open', 'throttled', 'off'] as const;
export type ClusterState = (typeof clusterStates)[number];

export const clusterNameShape = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;

/** Whom an event is for that goes to one cluster. */
export function clusterDestination(name: string): string {
  return `cluster:${name}`;
}

/** The subscription that carries a cluster's events there. */
export function clusterSubscription(name: string): string {
  return `cluster-${name}`;
}

/** The sealed address of a cluster opens for its subscription, as that of any other webhook does. */
export function clusterSealContext(name: string): string {
  return `subscription:${clusterSubscription(name)}`;
}

/** What an installation calls itself in a path. */
export function installationPlace(installation: string): string {
  return `cluster:${installation.slice(0, 16)}`;
}

/** The path of an event that arrives here: it has not been here before, and has not come too far. */
export function arriveAt(path: readonly string[], place: string): string[] | Refusal {
  if (path.includes(place))
    return refuse(
      'CONFLICT',
      `This event was here before: its path has ${place}. It is not taken again; look for a rule that sends it back.`,
      { path: [...path] },
    );
  if (path.length >= maxHops)
    return refuse(
      'CONFLICT',
      `This event came through ${path.length} places; at most ${maxHops} are allowed.`,
    );
  return [...path, place];
}

/** What a cluster takes right now: nothing while it is off, nothing while too much waits for it. */
export function clusterState(cluster: {
  enabled: boolean;
  backlog: number;
  backlogLimit: number;
}): ClusterState {
  if (!cluster.enabled) return 'off';
  return cluster.backlog >= cluster.backlogLimit ? 'throttled' : 'open';
}
