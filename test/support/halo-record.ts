import type { HaloActivities } from '../../activities/halo.ts';
import type { HaloLearningActivities } from '../../activities/halo-learning.ts';
import type { HaloSupersedingActivities, ToldRun } from '../../activities/halo-superseding.ts';
import type { Check } from '../../domain/analyzers/check.ts';
import type { AnalyzerName, Issue } from '../../domain/analyzers/issue.ts';
import { defaultHaloLimits, type HaloLimits } from '../../domain/halo-loop.ts';
import { type Lessons, noLessons } from '../../domain/insight.ts';
import { refuse } from '../../domain/refusal.ts';
import type { Call } from './task-record.ts';

export function anIssue(given: Partial<Issue> = {}): Issue {
  return {
    key: 'prb_1',
    analyzer: 'endpoint-health',
    entityKind: 'probe',
    entityId: 'prb_1',
    entityName: 'shop',
    severity: 'critical',
    title: 'status 503, expected 200 to 299',
    subject: { probeId: 'prb_1', url: 'http://shop/health' },
    owner: 'prn_admin',
    evidence: ['evt_1'],
    ...given,
  };
}

type Script = {
  limits?: Partial<HaloLimits>;
  find?: (analyzer: AnalyzerName) => Issue[];
  /** What an analyzer that makes checks says of them. */
  checks?: Partial<Record<AnalyzerName, Check[]>>;
  lessons?: Partial<Lessons>;
  /** The proposals of earlier cycles that this one supersedes. */
  supersedes?: () => ToldRun[];
  /** Open tasks take every proposal: none is created. */
  folds?: boolean;
};

/** HALO's activities without a database: remembers what it was asked. */
export function fakeHalo(script: Script = {}) {
  const calls: Call[] = [];
  const note = (activity: string, input: unknown): Promise<void> => {
    calls.push({ activity, input });
    return Promise.resolve();
  };
  const activities: HaloActivities & HaloLearningActivities & HaloSupersedingActivities = {
    async readHaloLimits() {
      await note('readHaloLimits', {});
      return { ...defaultHaloLimits, ...script.limits };
    },
    async readLessons(input) {
      await note('readLessons', input);
      return { ...noLessons, ...script.lessons };
    },
    judgeRepairs: (input) => note('judgeRepairs', input),
    computeInsights: (input) => note('computeInsights', input),
    async recordPause(input) {
      await note('recordPause', input);
      const isKnown = input.requestId?.startsWith('dec_') === true;
      return isKnown ? null : refuse('FORBIDDEN', 'There is no recorded request.');
    },
    beginCycle: (input) => note('beginCycle', input),
    async runAnalyzer(input) {
      await note('runAnalyzer', input);
      return script.find === undefined ? [] : script.find(input.analyzer);
    },
    async examine(input) {
      await note('examine', input);
      const checks = script.checks?.[input.analyzer];
      const issues = script.find === undefined ? [] : script.find(input.analyzer);
      return { issues, tookMs: 1, ...(checks === undefined ? {} : { checks }) };
    },
    recordIssues: (input) => note('recordIssues', input),
    async proposeTasks(input) {
      await note('proposeTasks', input);
      if (script.folds === true) return [];
      return input.proposals.map(({ title, target, severity }, index) => ({
        id: `tsk_${input.cycleId}_${index}`,
        workflowId: `task/tsk_${input.cycleId}_${index}`,
        run: 1,
        state: 'pending-approval' as const,
        title,
        target,
        severity,
      }));
    },
    async supersedeProposals(input) {
      await note('supersedeProposals', input);
      return script.supersedes?.() ?? [];
    },
    beginLearning: (input) => note('beginLearning', input),
    recordLearningError: (input) => note('recordLearningError', input),
    finishCycle: (input) => note('finishCycle', input),
    failCycle: (input) => note('failCycle', input),
  };
  return { activities, calls };
}
