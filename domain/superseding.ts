import { type AnalyzerName, maxIssues } from './analyzers/issue.ts';
import type { Analysis } from './halo.ts';
import type { IncidentSummary } from './plan.ts';

/** A proposal of HALO that nobody has decided yet, with what was seen of its target since it was made. */
export type WaitingProposal = {
  taskId: string;
  target: string;
  /** Good results of its endpoint in a row, all of them newer than the proposal. */
  goodSince: number;
  /** A sign of life of its agent that is newer than the proposal. */
  seenSince: boolean;
};

/** What a cycle knows by the time it has proposed. */
export type CycleKnowledge = {
  incidents: readonly IncidentSummary[];
  analyses: readonly Analysis[];
  /** Targets of everything that was found, however slight. */
  found: readonly string[];
  /** Targets that this cycle proposed a task for. */
  proposed: readonly string[];
  /** Roots of its incidents that have an open proposal of their own. */
  openRoots: readonly string[];
};

export type Superseding = { taskId: string; because: string };

/** So many good results in a row are a recovery. */
export const healthyFrom = 3;

/**
 * A proposal that waits is superseded when its target is a mere member of an incident whose root has a proposal of its
 * own, or when it is healthy again: its analyzer looked, found nothing, and newer evidence than the proposal says so. An
 * analyzer that failed, did not run, or found more than a cycle carries is no proof of health (K18).
 */
export function findSuperseded(
  waiting: readonly WaitingProposal[],
  knowledge: CycleKnowledge,
): Superseding[] {
  const { incidents, found, proposed, openRoots } = knowledge;
  const kept = new Set([...incidents.map(({ root }) => root), ...proposed]);
  const sick = new Set(found);
  const looked = new Set(knowledge.analyses.filter(isWholeLook).map(({ analyzer }) => analyzer));
  return waiting.flatMap((proposal) => {
    const { taskId, target } = proposal;
    if (kept.has(target)) return [];
    const incident = incidents.find(
      ({ root, members }) => members.includes(target) && openRoots.includes(root),
    );
    if (incident !== undefined) {
      const { root, name, because } = incident;
      return [
        { taskId, because: `its cause is ${name} (${root}), which has a proposal of its own: ${because}` },
      ];
    }
    const health = healthOf(proposal);
    if (health === null || sick.has(target) || !looked.has(health.analyzer)) return [];
    return [{ taskId, because: `its target is healthy again: ${health.because}` }];
  });
}

function isWholeLook({ state, issues }: Analysis): boolean {
  return state === 'done' && issues < maxIssues;
}

/** What says that a target is well, and the analyzer that has to agree. */
function healthOf(proposal: WaitingProposal): { analyzer: AnalyzerName; because: string } | null {
  const { target, goodSince, seenSince } = proposal;
  if (target.startsWith('probe:') && goodSince >= healthyFrom)
    return { analyzer: 'endpoint-health', because: `${goodSince} good results in a row since the proposal` };
  if (target.startsWith('agent:') && seenSince)
    return { analyzer: 'agent-health', because: 'the agent was seen since the proposal' };
  return null;
}
