import {
  ActivityFailure,
  CancellationScope,
  ParentClosePolicy,
  patched,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  startChild,
  workflowInfo,
  WorkflowIdReusePolicy,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { HaloActivities, ProposedTask } from '../activities/halo.ts';
import type { AnalyzerName } from '../domain/analyzers/issue.ts';
import { analyzersOf } from '../domain/analyzers/registry.ts';
import {
  type Analysis,
  analyzerFailure,
  detectWeakPoints,
  type Examination,
  proposesTasks,
} from '../domain/halo.ts';
import { planTasks, settle, summarizeIncidents } from '../domain/plan.ts';
import { noLessons, raiseByInsights } from '../domain/insight.ts';
import { describeRun } from './describe-run.ts';
import { learn, readLessons } from './halo-lessons.ts';
import { supersedeProposals } from './halo-superseding.ts';
import type { HaloCycleInput } from './inputs.ts';
import { type CycleRunState, cycleStateQuery } from './messages.ts';
import { task } from './task.ts';

const { examine, runAnalyzer } = proxyActivities<HaloActivities>({
  startToCloseTimeout: '30s',
  scheduleToCloseTimeout: '60s',
  retry: { initialInterval: '500ms', maximumAttempts: 3 },
});
const record = proxyLocalActivities<HaloActivities>({
  startToCloseTimeout: '30s',
  retry: { initialInterval: '200ms', maximumInterval: '10s' },
});
/** One look at the system: analyze in parallel, find weak points, propose tasks, record. */
export async function haloCycle(input: HaloCycleInput): Promise<CycleRunState> {
  const { cycleId, mode } = input;
  const { workflowId, runId } = workflowInfo();
  const life: CycleRunState = { cycleId, step: 'analyzing', weakPoints: 0, proposals: 0 };
  setHandler(cycleStateQuery, () => life);
  // Cycles from before HALO learned ran two analyzers. May go after 2027-02.
  const learns = patched('haloCycle-learning-202611');
  const wanted: AnalyzerName[] = learns ? analyzersOf(mode) : ['endpoint-health', 'agent-health'];
  const look = (one: Look): Promise<Examination> =>
    isolated(one, async () => (learns ? examine(one) : { issues: await runAnalyzer(one), tookMs: 0 }));
  await record.beginCycle({
    cycleId,
    mode,
    trigger: { ...input.trigger, requestedBy: input.requestedBy },
    workflowId,
    runId,
  });
  try {
    const found = await Promise.all(wanted.map((analyzer) => look({ cycleId, analyzer })));
    const issues = found.flatMap((one) => one.issues);
    const lessons = learns ? await readLessons(cycleId, issues) : noLessons;
    const { weakPoints, used } = raiseByInsights(detectWeakPoints(issues), lessons.insights);
    life.step = 'planning';
    life.weakPoints = weakPoints.length;
    const incidents = summarizeIncidents(weakPoints, lessons);
    const learned = learns ? { analyses: found.map(analysisOf), insightsUsed: used, incidents } : {};
    await record.recordIssues({ cycleId, issues, weakPoints, ...learned });
    life.step = 'proposing';
    const planned = proposesTasks(mode) ? planTasks(weakPoints, lessons) : [];
    const { ripe, unripe, ...settled } = settle(planned, Date.now(), input.settleMs ?? 0);
    Object.assign(life, settled);
    const isAsked = input.trigger.manual > 0;
    const tasks = await record.proposeTasks({ cycleId, proposals: ripe, unripe, isAsked });
    life.proposals = tasks.length;
    for (const proposed of tasks) await startTask(proposed);
    if (proposesTasks(mode))
      await supersedeProposals(
        cycleId,
        planned.map(({ target }) => target),
      );
    if (learns) {
      life.step = 'learning';
      await record.beginLearning({ cycleId });
      await learn(cycleId);
    }
    await record.finishCycle({ cycleId, taskIds: tasks.map(({ id }) => id), weakPoints: weakPoints.length });
    life.step = 'completed';
    return life;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    await CancellationScope.nonCancellable(() => record.failCycle({ cycleId, error: message.slice(0, 500) }));
    throw error;
  }
}

type Look = { cycleId: string; analyzer: AnalyzerName };

/** A broken analyzer is a finding of its own and does not blind the others. */
async function isolated(
  { analyzer }: Look,
  run: () => Promise<Omit<Examination, 'analyzer' | 'state'>>,
): Promise<Examination> {
  try {
    return { analyzer, state: 'done', ...(await run()) };
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    const issues = [analyzerFailure(analyzer, error.cause?.message ?? error.message)];
    return { analyzer, state: 'failed', tookMs: 0, issues };
  }
}

function analysisOf({ issues, ...examined }: Examination): Analysis {
  return { ...examined, issues: issues.length };
}

/** Tasks outlive the cycle that proposed them; the start is awaited, or the child may never come to be. */
async function startTask(proposed: ProposedTask): Promise<void> {
  try {
    await startChild(task, {
      workflowId: proposed.workflowId,
      args: [{ taskId: proposed.id, run: proposed.run }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      ...describeRun({
        summary: proposed.title,
        kind: 'task',
        entity: proposed.target,
        state: proposed.state,
        severity: proposed.severity,
        subsystem: 'squad',
      }),
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}
