import { storableText } from './json.ts';
import type { Check } from './analyzers/check.ts';
import { type AnalyzerName, type Issue, issueSeverities, type WeakPoint } from './analyzers/issue.ts';

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

/** What one analyzer did in a cycle. */
export type Examination = {
  analyzer: AnalyzerName;
  state: 'done' | 'failed';
  tookMs: number;
  issues: Issue[];
  /** Where it looks at things that are named to be watched: how each check stands. */
  checks?: Check[];
};

/** The same, as it is kept on the cycle. */
export type Analysis = Omit<Examination, 'issues'> & { issues: number };

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
