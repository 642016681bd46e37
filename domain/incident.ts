import type { WeakPoint } from './analyzers/issue.ts';
import { defaultSettleMs } from './halo-loop.ts';
import { type EntityLink, entityOf } from './insight.ts';

/** Weak points with one cause: only its root is to be repaired. */
export type Incident = { root: WeakPoint; members: WeakPoint[]; because: string };

/** First signs with no wider gap than this are one moment: each entity is looked at every 30 s or so. */
const sameMomentMs = 35_000;
const longestMomentMs = 120_000;
/** So many at least make it certain that they have one cause. */
const certain = 3;
/** Entities that failed together this often are taken to have one cause when they fail near each other. */
const strongLink = 0.6;
const nearMs = 5 * 60_000;

/**
 * Weak points that depend on another weak point belong to its incident; the deepest one is the root. Incidents whose
 * roots began in the same moment, or near each other after failing together before, are one incident: its root is the
 * one that most of its members depend on, then the earliest.
 */
export function groupIncidents(
  weakPoints: readonly WeakPoint[],
  links: readonly EntityLink[] = [],
): Incident[] {
  const byEntity = new Map<string, WeakPoint>();
  // One entity may have several weak points; the first one stands for it, and the others follow it.
  for (const weakPoint of weakPoints)
    if (!byEntity.has(entityOf(weakPoint))) byEntity.set(entityOf(weakPoint), weakPoint);
  const declared = new Map<WeakPoint, WeakPoint[]>();
  for (const weakPoint of weakPoints) {
    const root = deepest(weakPoint, byEntity);
    declared.set(root, [...(declared.get(root) ?? []), weakPoint]);
  }
  const linked = linkedEntities(links);
  const incidents: Incident[] = [];
  for (const cluster of clusters([...declared.keys()], linked)) {
    const [root] = cluster.toSorted(
      (a, b) => (declared.get(b)?.length ?? 0) - (declared.get(a)?.length ?? 0),
    );
    if (root === undefined) continue;
    const members = cluster.flatMap((one) => declared.get(one) ?? []);
    const others = members.filter((one) => entityOf(one) !== entityOf(root));
    incidents.push({ root, members, because: others.length === 0 ? '' : reason(root, cluster) });
  }
  return incidents;
}

/**
 * An incident is proposed once its first sign is this old: what it depends on, and what began with it, has been seen by
 * then, so that one cause gives one proposal. The loop looks again when it has settled.
 */
export function isRipe(
  { members }: { members: readonly Pick<WeakPoint, 'sinceMs'>[] },
  nowMs: number,
  ripeMs: number = defaultSettleMs,
): boolean {
  return members.some(({ sinceMs }) => sinceMs === undefined || nowMs - sinceMs >= ripeMs);
}

function reason(root: WeakPoint, cluster: readonly WeakPoint[]): string {
  if (cluster.length === 1) return `they depend on ${root.entityName}`;
  const isOneMoment = cluster.every((one, at) => {
    const earlier = cluster[at - 1];
    return earlier === undefined || (one.sinceMs ?? 0) - (earlier.sinceMs ?? 0) <= sameMomentMs;
  });
  return isOneMoment ? 'they began in the same moment' : 'they have failed together before';
}

/** Each follows its first weak dependency; in a circle the first by name is the root, wherever one comes from. */
function deepest(from: WeakPoint, byEntity: ReadonlyMap<string, WeakPoint>): WeakPoint {
  let at = byEntity.get(entityOf(from)) ?? from;
  const path = [at];
  for (;;) {
    const needed = (at.dependsOn ?? []).find((entity) => entity !== entityOf(at) && byEntity.has(entity));
    const next = needed === undefined ? undefined : byEntity.get(needed);
    if (next === undefined) return at;
    const met = path.indexOf(next);
    if (met >= 0)
      return path.slice(met).reduce((first, one) => (entityOf(one) < entityOf(first) ? one : first));
    path.push(next);
    at = next;
  }
}

function linkedEntities(links: readonly EntityLink[]): Set<string> {
  const strong = links.filter(({ kind, weight }) => kind === 'fails-together' && weight >= strongLink);
  return new Set(strong.flatMap(({ from, to }) => [`${from} ${to}`, `${to} ${from}`]));
}

/** Roots that hang together, the earliest first; a moment has an end, so that a day of trouble is not one incident. */
function clusters(roots: readonly WeakPoint[], linked: ReadonlySet<string>): WeakPoint[][] {
  const begun = roots.toSorted((a, b) => (a.sinceMs ?? 0) - (b.sinceMs ?? 0) || (a.id < b.id ? -1 : 1));
  const found: WeakPoint[][] = [];
  for (const root of begun) {
    const home = found.find((cluster) => hangsTogether(cluster, root, linked));
    if (home === undefined) found.push([root]);
    else home.push(root);
  }
  return found.reduce<WeakPoint[][]>((joined, cluster) => {
    const before = joined.at(-1);
    if (before === undefined || !isStraggler(before, cluster)) return [...joined, cluster];
    return [...joined.slice(0, -1), [...before, ...cluster]];
  }, []);
}

/** Two that begin together may be an accident, more are not: the more there are, the later one may still belong. */
function isStraggler(before: readonly WeakPoint[], after: readonly WeakPoint[]): boolean {
  const [first, last, next, end] = [before[0], before.at(-1), after[0], after.at(-1)].map(
    (one) => one?.sinceMs,
  );
  if (first === undefined || last === undefined || next === undefined || end === undefined) return false;
  const reach = sameMomentMs * Math.min(Math.max(before.length, after.length), certain);
  return (
    next - last <= reach &&
    end - first <= longestMomentMs &&
    before.some(({ analyzer }) => after[0]?.analyzer === analyzer)
  );
}

function hangsTogether(
  cluster: readonly WeakPoint[],
  { sinceMs, analyzer, ...root }: WeakPoint,
  linked: ReadonlySet<string>,
): boolean {
  const [first, last] = [cluster[0], cluster.at(-1)];
  if (first?.sinceMs === undefined || last?.sinceMs === undefined || sinceMs === undefined) return false;
  const isOneMoment = sinceMs - last.sinceMs <= sameMomentMs && sinceMs - first.sinceMs <= longestMomentMs;
  if (isOneMoment && cluster.some((one) => one.analyzer === analyzer)) return true;
  const areLinked = cluster.some((one) => linked.has(`${entityOf(one)} ${entityOf(root)}`));
  return areLinked && sinceMs - first.sinceMs <= nearMs;
}
