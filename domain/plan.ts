import { issueSeverities, type WeakPoint } from './analyzers/issue.ts';
import { groupIncidents, type Incident, isRipe } from './incident.ts';
import { type EntityLink, entityOf, type Lessons, noLessons } from './insight.ts';
import type { JsonObject } from './json.ts';
import { chooseStrategy, riskOf, strategies, type Strategy } from './strategies.ts';
import type { Risk, TaskRole } from './task.ts';

export type Proposal = {
  /** Findings with the same fix target share one open task. */
  fingerprint: string;
  type: string;
  title: string;
  target: string;
  targetRole: TaskRole;
  payload: JsonObject;
  risk: Risk;
  severity: WeakPoint['severity'];
  reversible: boolean;
  /** How many other entities it reaches, as far as that is known. */
  blastRadius: number;
  /** The person who answers for the target; the four-eyes rule counts them as the requester. */
  requestedBy: string;
  evidence: string[];
  weakPointId: string;
  /** Targets of weak points that have the same cause, the first of them. */
  alsoAffected: string[];
  /** When the first sign of its incident was seen. */
  sinceMs?: number;
};

/** A proposal that was not made, and why: a kill switch stands over its target, or it is too early to make it. */
export type LeftOut = { title: string; target: string; because: string };

/** What the tasks of a cycle are about, by target, for its record and for proposals that it supersedes. */
export type IncidentSummary = { root: string; name: string; members: string[]; because: string };

const keptEvidence = 50;
/** The title and the blast radius count them all. */
const keptAffected = 50;
/** A link weaker than this is chance (see the insight of co-movement). */
const strongLink = 0.5;

export function targetOf({ entityKind, entityId }: Pick<WeakPoint, 'entityKind' | 'entityId'>): string {
  return `${entityKind}:${entityId}`;
}

/** Entities that fail when this one does: members of its incident, and what has failed together with it before. */
function radiusOf({ root, members }: Incident, links: readonly EntityLink[]): number {
  const reached = new Set(members.map(entityOf));
  const own = entityOf(root);
  for (const { from, to, kind, weight } of links) {
    if (kind !== 'fails-together' || weight < strongLink) continue;
    if (from === own) reached.add(to);
    if (to === own) reached.add(from);
  }
  reached.delete(own);
  return reached.size;
}

function worstOf(members: readonly WeakPoint[]): WeakPoint['severity'] {
  return members.reduce<WeakPoint['severity']>((worst, { severity }) => graver(worst, severity), 'low');
}

function graver(one: WeakPoint['severity'], other: WeakPoint['severity']): WeakPoint['severity'] {
  return issueSeverities.indexOf(other) > issueSeverities.indexOf(one) ? other : one;
}

/** The newest of each member in turn, so that no member's evidence crowds out that of the others. */
function sharedEvidence(members: readonly WeakPoint[]): string[] {
  const longest = Math.max(0, ...members.map(({ evidence }) => evidence.length));
  const shared = new Set<string>();
  for (let turn = 0; turn < longest && shared.size < keptEvidence; turn += 1)
    for (const { evidence } of members) {
      const next = evidence[turn];
      if (next !== undefined && shared.size < keptEvidence) shared.add(next);
    }
  return [...shared];
}

/** Of a member whose first sign nobody saw it is not known that it is fresh. */
function firstSign({ members }: Incident): Pick<Proposal, 'sinceMs'> {
  const signs = members.map(({ sinceMs }) => sinceMs);
  return signs.some((sign) => sign === undefined)
    ? {}
    : { sinceMs: Math.min(...signs.filter((sign) => sign !== undefined)) };
}

type Answer = { speaker: WeakPoint; strategy: Strategy };

/**
 * The root, or where nobody answers for it or no strategy knows it the next member, speaks for its incident: by the
 * worst finding on that entity.
 */
function answerTo(
  { root, members }: Incident,
  records: Lessons['records'],
  rows: readonly Strategy[],
): Answer | null {
  let best: Answer | null = null;
  for (const speaker of [root, ...members]) {
    if (speaker.owner === '') continue;
    if (best !== null && entityOf(speaker) !== entityOf(best.speaker)) continue;
    const finding = { analyzer: speaker.analyzer, target: targetOf(speaker) };
    const strategy = chooseStrategy(rows, finding, records);
    if (strategy === null) continue;
    const known = best?.speaker.severity;
    if (known === undefined || graver(known, speaker.severity) !== known) best = { speaker, strategy };
  }
  return best;
}

function titleOf({ speaker, strategy }: Answer, { root }: Incident, others: number): string {
  const cause =
    entityOf(speaker) === entityOf(root) ? '' : ` (the root is ${root.entityName}: ${root.title})`;
  const also = others === 0 ? '' : ` (and ${others} more with the same cause)`;
  return `${strategy.verb} ${speaker.entityName}: ${speaker.title}${cause}${also}`;
}

function propose(incident: Incident, answer: Answer, links: readonly EntityLink[]): Proposal {
  const { speaker, strategy } = answer;
  const target = targetOf(speaker);
  const others = incident.members.filter((member) => entityOf(member) !== entityOf(speaker));
  const affected = [...new Set(others.map(targetOf))];
  const blastRadius = radiusOf(incident, links);
  return {
    fingerprint: `${strategy.taskType}|${target}`,
    type: strategy.taskType,
    title: titleOf(answer, incident, affected.length),
    target,
    targetRole: strategy.role,
    payload: speaker.subject,
    risk: riskOf(strategy.risk, blastRadius),
    severity: worstOf([speaker, ...others]),
    reversible: strategy.reversible,
    blastRadius,
    requestedBy: speaker.owner,
    evidence: sharedEvidence([speaker, ...others]),
    weakPointId: speaker.id,
    alsoAffected: affected.slice(0, keptAffected),
    ...firstSign(incident),
  };
}

/** Incidents in the order of their first members, so that what insights raised stays first (LEDGER 5.6, D9). */
function incidentsInOrder(weakPoints: readonly WeakPoint[], links: readonly EntityLink[]): Incident[] {
  const places = new Map(weakPoints.map((weakPoint, place) => [weakPoint, place]));
  return groupIncidents(weakPoints, links)
    .map((incident) => ({
      incident,
      place: Math.min(...incident.members.map((member) => places.get(member) ?? Infinity)),
    }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ incident }) => incident);
}

/**
 * Weak points of one cause become one proposal, by the strategy that helped such targets most; the worst finding of one
 * fix target speaks for it. What no strategy knows, or nobody answers for, in a whole incident is reported only.
 */
export function planTasks(
  weakPoints: readonly WeakPoint[],
  { links, records }: Pick<Lessons, 'links' | 'records'> = noLessons,
  rows: readonly Strategy[] = strategies,
): Proposal[] {
  const byFingerprint = new Map<string, Proposal>();
  for (const incident of incidentsInOrder(weakPoints, links)) {
    const answer = answerTo(incident, records, rows);
    if (answer === null) continue;
    const proposal = propose(incident, answer, links);
    const known = byFingerprint.get(proposal.fingerprint);
    if (known === undefined || graver(known.severity, proposal.severity) !== known.severity)
      byFingerprint.set(proposal.fingerprint, proposal);
  }
  return [...byFingerprint.values()];
}

/** How long a repair has time to show what it did before its target is proposed for again. */
export const watchForMs = 10 * 60_000;

export type Settled = {
  ripe: Proposal[];
  unripe: LeftOut[];
  /** When the last of them will be ripe. */
  settledMs?: number;
};

/** Proposals whose incident is ripe by now; the others are said to wait, and until when. */
export function settle(proposals: readonly Proposal[], nowMs: number, settleMs: number): Settled {
  // Clocks differ: a first sign may seem to lie ahead.
  if (settleMs === 0) return { ripe: [...proposals], unripe: [] };
  const ripe: Proposal[] = [];
  const unripe: LeftOut[] = [];
  let settledMs: number | undefined;
  for (const proposal of proposals) {
    const { title, target, sinceMs } = proposal;
    if (sinceMs === undefined || isRipe({ members: [{ sinceMs }] }, nowMs, settleMs)) {
      ripe.push(proposal);
      continue;
    }
    const atMs = sinceMs + settleMs;
    const because = `its first sign is fresher than ${settleMs / 1000} s: HALO looks again from ${new Date(atMs).toISOString()} on, and what began with it is seen by then`;
    unripe.push({ title, target, because });
    settledMs = Math.max(settledMs ?? atMs, atMs);
  }
  return { ripe, unripe, ...(settledMs === undefined ? {} : { settledMs }) };
}

/** The incidents of a cycle with more than one member. */
export function summarizeIncidents(
  weakPoints: readonly WeakPoint[],
  { links }: Pick<Lessons, 'links'> = noLessons,
): IncidentSummary[] {
  return incidentsInOrder(weakPoints, links)
    .map(({ root, members, because }) => ({
      root: targetOf(root),
      name: root.entityName,
      members: [...new Set(members.map(targetOf))].filter((member) => member !== targetOf(root)),
      because,
    }))
    .filter(({ members }) => members.length > 0);
}
