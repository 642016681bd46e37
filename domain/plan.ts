import { issueSeverities, type WeakPoint } from './analyzers/issue.ts';
import { groupIncidents, type Incident } from './incident.ts';
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
  /** Targets of weak points that have the same cause. */
  alsoAffected: string[];
};

/** A proposal that was not made, and why: a kill switch stands over its target. */
export type LeftOut = { title: string; target: string; because: string };

/** What the tasks of a cycle are about, by target, for its record and for proposals that it supersedes. */
export type IncidentSummary = { root: string; name: string; members: string[]; because: string };

const keptEvidence = 50;
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

function propose(incident: Incident, strategy: Strategy, links: readonly EntityLink[]): Proposal {
  const { root, members } = incident;
  const target = targetOf(root);
  const others = members.filter((member) => entityOf(member) !== entityOf(root));
  const blastRadius = radiusOf(incident, links);
  const also = others.length === 0 ? '' : ` (and ${others.length} more with the same cause)`;
  return {
    fingerprint: `${strategy.taskType}|${target}`,
    type: strategy.taskType,
    title: `${strategy.verb} ${root.entityName}: ${root.title}${also}`,
    target,
    targetRole: strategy.role,
    payload: root.subject,
    risk: riskOf(strategy.risk, blastRadius),
    severity: worstOf([root, ...others]),
    reversible: strategy.reversible,
    blastRadius,
    requestedBy: root.owner,
    evidence: [...new Set([root, ...others].flatMap(({ evidence }) => evidence))].slice(0, keptEvidence),
    weakPointId: root.id,
    alsoAffected: others.map(targetOf),
  };
}

/**
 * Weak points of one cause become one proposal, on its root, by the strategy that helped such targets most; the worst
 * finding of one fix target speaks for it. What no strategy knows, or nobody answers for, is reported only.
 */
export function planTasks(
  weakPoints: readonly WeakPoint[],
  { links, records }: Pick<Lessons, 'links' | 'records'> = noLessons,
  rows: readonly Strategy[] = strategies,
): Proposal[] {
  const byFingerprint = new Map<string, Proposal>();
  for (const incident of groupIncidents(weakPoints, links)) {
    const { root } = incident;
    const strategy = chooseStrategy(rows, { analyzer: root.analyzer, target: targetOf(root) }, records);
    if (strategy === null || root.owner === '') continue;
    const proposal = propose(incident, strategy, links);
    const known = byFingerprint.get(proposal.fingerprint);
    if (known === undefined || graver(known.severity, proposal.severity) !== known.severity)
      byFingerprint.set(proposal.fingerprint, proposal);
  }
  return [...byFingerprint.values()];
}

/** The incidents of a cycle with more than one member. */
export function summarizeIncidents(
  weakPoints: readonly WeakPoint[],
  { links }: Pick<Lessons, 'links'> = noLessons,
): IncidentSummary[] {
  return groupIncidents(weakPoints, links)
    .map(({ root, members, because }) => ({
      root: targetOf(root),
      name: root.entityName,
      members: [...new Set(members.map(targetOf))].filter((member) => member !== targetOf(root)),
      because,
    }))
    .filter(({ members }) => members.length > 0);
}
