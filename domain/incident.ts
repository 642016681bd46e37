import type { WeakPoint } from './analyzers/issue.ts';
import { type EntityLink, entityOf } from './insight.ts';

/** Weak points with one cause: only its root is to be repaired. */
export type Incident = { root: WeakPoint; members: WeakPoint[]; because: string };

/** Weak points that depend on another weak point belong to its incident; the deepest one is the root. */
export function groupIncidents(
  weakPoints: readonly WeakPoint[],
  _links: readonly EntityLink[] = [],
): Incident[] {
  const byEntity = new Map(weakPoints.map((weakPoint) => [entityOf(weakPoint), weakPoint]));
  const incidents = new Map<WeakPoint, Incident>();
  for (const weakPoint of weakPoints) {
    const root = deepest(weakPoint, byEntity);
    const incident = incidents.get(root) ?? { root, members: [], because: '' };
    incident.members.push(weakPoint);
    incident.because = incident.members.length > 1 ? `they depend on ${root.entityName}` : '';
    incidents.set(root, incident);
  }
  return [...incidents.values()];
}

function deepest(from: WeakPoint, byEntity: ReadonlyMap<string, WeakPoint>): WeakPoint {
  const seen = new Set([from]);
  let at = from;
  for (;;) {
    const next = (at.dependsOn ?? [])
      .map((entity) => byEntity.get(entity))
      .find((one) => one !== undefined && !seen.has(one));
    if (next === undefined) return at;
    seen.add(next);
    at = next;
  }
}
