import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  isCancellation,
  proxyActivities,
  TimeoutFailure,
} from '@temporalio/workflow';
import { TimeoutType } from '@temporalio/common';
import type { CommandActivities } from '../activities/command.ts';
import type { HttpActivities } from '../activities/http.ts';
import type { DispatchedTask } from '../activities/tasks.ts';
import { taskQueues } from '../domain/names.ts';
import {
  type AgentCall,
  type AgentResult,
  executorHeartbeatTimeoutMs,
  readAgentResult,
} from '../domain/task.ts';

/** The one activity an agent implements, in any language, on a task queue of its own. */
type AgentActivities = { runAgent(call: AgentCall): Promise<unknown> };

export type EffectEnd =
  | { kind: 'result'; result: AgentResult }
  /** The answer is lost and cannot be found out; a person has to say whether it took effect. */
  | { kind: 'unknown'; because: string }
  | { kind: 'cancelled' };

/** Has one attempt run by its agent, and says how it ended. Never repeats an effect that may have happened. */
export async function runEffect(dispatch: DispatchedTask): Promise<EffectEnd> {
  const call: AgentCall = {
    key: dispatch.key,
    attempt: dispatch.attempt,
    ...(dispatch.epoch === undefined ? {} : { epoch: dispatch.epoch }),
    timeoutMs: dispatch.timeoutMs,
    task: dispatch.task,
  };
  try {
    return { kind: 'result', result: readAgentResult(await hand(dispatch, call)) };
  } catch (error) {
    if (isCancellation(error)) return { kind: 'cancelled' };
    return explain(error, dispatch);
  }
}

function hand(dispatch: DispatchedTask, call: AgentCall): Promise<unknown> {
  if (dispatch.executor === 'temporal') {
    const { runAgent } = proxyActivities<AgentActivities>({
      taskQueue: dispatch.taskQueue ?? taskQueues.effects,
      startToCloseTimeout: dispatch.timeoutMs,
      scheduleToStartTimeout: dispatch.pickupTimeoutMs,
      ...(dispatch.heartbeatTimeoutMs === null ? {} : { heartbeatTimeout: dispatch.heartbeatTimeoutMs }),
      cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
      // A second try of an agent that may have acted is a person's decision, not the server's.
      retry: { maximumAttempts: 1 },
      summary: `${call.task.type} by ${dispatch.agentName}`,
    });
    return runAgent(call);
  }
  // These executors find their own earlier try by its key, so the server may start them again.
  const { runCommand, runHttp } = proxyActivities<CommandActivities & HttpActivities>({
    taskQueue: taskQueues.effects,
    startToCloseTimeout: dispatch.timeoutMs + 30_000,
    heartbeatTimeout: executorHeartbeatTimeoutMs,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '500ms', maximumInterval: '10s', maximumAttempts: 50 },
    summary: `${call.task.type} by ${dispatch.agentName}`,
  });
  const input = { agentId: dispatch.agentId, call };
  return dispatch.executor === 'command' ? runCommand(input) : runHttp(input);
}

function explain(error: unknown, dispatch: DispatchedTask): EffectEnd {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof TimeoutFailure && cause.timeoutType === TimeoutType.SCHEDULE_TO_START) {
    const seconds = Math.round(dispatch.pickupTimeoutMs / 1000);
    const summary = `No worker of agent ${dispatch.agentName} took the task from queue ${dispatch.taskQueue} within ${seconds} s; nothing was done. Start the agent, then retry.`;
    return { kind: 'result', result: { ok: false, summary } };
  }
  if (cause instanceof TimeoutFailure)
    return {
      kind: 'unknown',
      because: `agent ${dispatch.agentName} did not answer in time (${cause.timeoutType})`,
    };
  if (cause instanceof ApplicationFailure && cause.type === 'OUTCOME_UNKNOWN')
    return { kind: 'unknown', because: cause.message };
  const message = cause instanceof Error ? cause.message : String(cause);
  return { kind: 'result', result: readAgentResult({ ok: false, summary: `The agent failed: ${message}` }) };
}
