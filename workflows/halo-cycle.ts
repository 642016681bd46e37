import {
  ActivityFailure,
  CancellationScope,
  ParentClosePolicy,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  startChild,
  workflowInfo,
  WorkflowIdReusePolicy,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { HaloActivities, ProposedTask } from '../activities/halo.ts';
import { analyzers, type AnalyzerName, type Issue } from '../domain/analyzers/issue.ts';
import { analyzerFailure, detectWeakPoints, planTasks, proposesTasks } from '../domain/halo.ts';
import { describeRun } from './describe-run.ts';
import type { HaloCycleInput } from './inputs.ts';
import { type CycleRunState, cycleStateQuery } from './messages.ts';
import { task } from './task.ts';

const { runAnalyzer } = proxyActivities<HaloActivities>({
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
  await record.beginCycle({
    cycleId,
    mode,
    trigger: { ...input.trigger, requestedBy: input.requestedBy },
    workflowId,
    runId,
  });
  try {
    const found = await Promise.all(analyzers.map((analyzer) => analyze(cycleId, analyzer)));
    const issues = found.flat();
    const weakPoints = detectWeakPoints(issues);
    life.step = 'planning';
    life.weakPoints = weakPoints.length;
    await record.recordIssues({ cycleId, issues, weakPoints });
    life.step = 'proposing';
    const proposals = proposesTasks(mode) ? planTasks(weakPoints) : [];
    const tasks = await record.proposeTasks({ cycleId, proposals });
    life.proposals = tasks.length;
    for (const proposed of tasks) await startTask(proposed);
    await record.finishCycle({ cycleId, taskIds: tasks.map(({ id }) => id), weakPoints: weakPoints.length });
    life.step = 'completed';
    return life;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    await CancellationScope.nonCancellable(() => record.failCycle({ cycleId, error: message.slice(0, 500) }));
    throw error;
  }
}

/** A broken analyzer is a finding of its own and does not blind the others. */
async function analyze(cycleId: string, analyzer: AnalyzerName): Promise<Issue[]> {
  try {
    return await runAnalyzer({ cycleId, analyzer });
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    return [analyzerFailure(analyzer, error.cause?.message ?? error.message)];
  }
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
