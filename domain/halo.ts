import { type JsonObject, storableText } from './json.ts';
import { type AnalyzerName, type Issue, issueSeverities, type WeakPoint } from './analyzers/issue.ts';
import { type Lessons, noLessons } from './insight.ts';
import { strategies, type Strategy } from './strategies.ts';
import type { Risk, TaskRole } from './task.ts';

/*
 * A HALO cycle: analyzing -> planning -> proposing -> learning -> completed, and from any of these to failed. An
 * analyzer that breaks becomes an issue of the cycle; it never fails the cycle.
 */
export const cycleStates = ['analyzing', 'planning', 'proposing', 'learning', 'completed', 'failed'] as const;
export type CycleState = (typeof cycleStates)[number];

export const cycleModes = ['full', 'light'] as const;
export type CycleMode = (typeof cycleModes)[number];

/** Light cycles look and report; only full cycles propose tasks (LEDGER 1.2). */
export function proposesTasks(mode: CycleMode): boolean {
  return mode === 'full';
}

/** Everything above low severity is a weak point, named by analyzer and issue (LEDGER 1.2). */
export function detectWeakPoints(issues: Issue[], from: Issue['severity'] = 'medium'): WeakPoint[] {
  return issues
    .filter(({ severity }) => issueSeverities.indexOf(severity) >= issueSeverities.indexOf(from))
    .map((issue) => ({ ...issue, id: `${issue.analyzer}:${issue.key}` }));
}

export type Proposal = {
  /** Findings with the same fix target share one open task. */
  fingerprint: string;
  type: string;
  title: string;
  target: string;
  targetRole: TaskRole;
  payload: JsonObject;
  risk: Risk;
  severity: Issue['severity'];
  reversible: boolean;
  /** The person who answers for the target; the four-eyes rule counts them as the requester. */
  requestedBy: string;
  evidence: string[];
  weakPointId: string;
};

/** A proposal that was not made, and why: a kill switch stands over its target. */
export type LeftOut = { title: string; target: string; because: string };

function propose(weakPoint: WeakPoint, strategy: Strategy): Proposal {
  const target = `${weakPoint.entityKind}:${weakPoint.entityId}`;
  return {
    fingerprint: `${strategy.taskType}|${target}`,
    type: strategy.taskType,
    title: `${strategy.verb} ${weakPoint.entityName}: ${weakPoint.title}`,
    target,
    targetRole: strategy.role,
    payload: weakPoint.subject,
    risk: strategy.risk,
    severity: weakPoint.severity,
    reversible: strategy.reversible,
    requestedBy: weakPoint.owner,
    evidence: weakPoint.evidence,
    weakPointId: weakPoint.id,
  };
}

/** What one analyzer did in a cycle. */
export type Examination = {
  analyzer: AnalyzerName;
  state: 'done' | 'failed';
  tookMs: number;
  issues: Issue[];
};

/** The same, as it is kept on the cycle. */
export type Analysis = Omit<Examination, 'issues'> & { issues: number };

/** Each weak point that a strategy knows becomes one proposal; the worst finding of one fix target speaks for it. */
export function planTasks(
  weakPoints: WeakPoint[],
  _lessons: Lessons = noLessons,
  rows = strategies,
): Proposal[] {
  const byFingerprint = new Map<string, Proposal>();
  for (const weakPoint of weakPoints) {
    const strategy = rows.find((candidate) => candidate.analyzer === weakPoint.analyzer);
    if (strategy === undefined || weakPoint.owner === '') continue;
    const proposal = propose(weakPoint, strategy);
    const known = byFingerprint.get(proposal.fingerprint);
    if (
      known === undefined ||
      issueSeverities.indexOf(known.severity) < issueSeverities.indexOf(proposal.severity)
    )
      byFingerprint.set(proposal.fingerprint, proposal);
  }
  return [...byFingerprint.values()];
}

/** A cycle with weak points is worth a warning, one without is information (LEDGER 1.2). */
export function cycleSeverity(weakPoints: number): 'warning' | 'info' {
  return weakPoints > 0 ? 'warning' : 'info';
}

/** The issue a broken analyzer leaves behind, so that its silence is never taken for health. */
export function analyzerFailure(analyzer: AnalyzerName, message: string): Issue {
  return {
    key: 'analyzer-failed',
    analyzer,
    entityKind: 'analyzer',
    entityId: analyzer,
    entityName: analyzer,
    severity: 'medium',
    title: `the analyzer failed: ${storableText(message.slice(0, 300))}`,
    subject: { analyzer },
    owner: '',
    evidence: [],
  };
}
