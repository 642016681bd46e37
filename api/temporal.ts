import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Client,
  type Connection,
  isGrpcDeadlineError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  type WorkflowHandle,
} from '@temporalio/client';
import type { ApprovalMessage, DecisionOutcome } from '../domain/approval.ts';
import type { IssueSeverity } from '../domain/analyzers/issue.ts';
import { probeWorkflowId, taskQueues, workflowTaskTimeoutMs, taskWorkflowId } from '../domain/names.ts';
import type { ProbeRunInput, TaskInput } from '../workflows/inputs.ts';
import {
  approvalSignal,
  cancelUpdate,
  decideUpdate,
  dispatchUpdate,
  holdSignal,
  type TaskAnswer,
} from '../workflows/messages.ts';
import { asUnavailable, type Deadlined, type Silence, silenceOf } from './temporal-errors.ts';
import { createTemporalHalo, type TemporalHalo } from './temporal-halo.ts';
import { createTemporalNotifications, type TemporalNotifications } from './temporal-notifications.ts';
import { createTemporalRedrives, type TemporalRedrives } from './temporal-redrives.ts';
import { createTemporalReplays, type TemporalReplays } from './temporal-replays.ts';
import { createProbeSchedules, type ProbeSchedules } from './temporal-schedules.ts';
import { createTemporalSubscriptions, type TemporalSubscriptions } from './temporal-subscriptions.ts';
import { searchAttributesOf } from './search-attributes.ts';

export type TaskStart = {
  taskId: string;
  run: number;
  target: string;
  title: string;
  state: string;
  severity: IssueSeverity;
};

export type RunAsk = {
  workflowId: string;
  /** The id of the stored request: the same ask sent twice is one update. */
  requestId: string;
} & ({ name: 'decide'; message: ApprovalMessage } | { name: 'dispatch' | 'cancel' });

export type RunAnswer = { answer: DecisionOutcome | TaskAnswer } | { silent: Exclude<Silence, 'busy'> };

export type ProbeRunResult = { ok: boolean; eventId: string; failures: string[] };
/** `result` is null while the run goes on, and when it failed, which `failed` then says. */
export type ProbeRun = { runId: string | null; result: ProbeRunResult | null; failed: string | null };

/** Everything the API asks of Temporal; each call ends within its deadline. */
export type TemporalPort = TemporalHalo &
  ProbeSchedules &
  TemporalNotifications &
  TemporalRedrives &
  TemporalSubscriptions &
  TemporalReplays & {
    /** Starts the run of a task; one that was started before counts as success. */
    startTask(start: TaskStart): Promise<{ runId: string | null }>;
    ask(ask: RunAsk): Promise<RunAnswer>;
    signalApproval(workflowId: string, message: ApprovalMessage): Promise<void>;
    /** Makes a run look whether a kill switch stands against what it does. */
    signalHold(workflowId: string): Promise<void>;
    runProbe(input: { probeId: string; occurrence: string; waitMs: number }): Promise<ProbeRun>;
    /** Fails when the server does not answer. */
    check(): Promise<void>;
  };

const deadlineMs = 2_000;
const pauseBetweenTriesMs = 100;

export function createTemporal(connection: Connection, client: Client): TemporalPort {
  const within: Deadlined = async (work, ms = deadlineMs) => {
    try {
      return await connection.withDeadline(Date.now() + ms, work);
    } catch (error) {
      throw asUnavailable(error);
    }
  };

  async function update(handle: WorkflowHandle, ask: RunAsk): Promise<DecisionOutcome | TaskAnswer> {
    const updateId = ask.requestId;
    if (ask.name === 'decide') return handle.executeUpdate(decideUpdate, { updateId, args: [ask.message] });
    const request = { requestId: ask.requestId };
    const definition = ask.name === 'dispatch' ? dispatchUpdate : cancelUpdate;
    return handle.executeUpdate(definition, { updateId, args: [request] });
  }

  return {
    ...createTemporalHalo(client, within),
    ...createProbeSchedules(client, within),
    ...createTemporalNotifications(connection, client, within),
    ...createTemporalRedrives(client, within),
    ...createTemporalSubscriptions(client, within),
    ...createTemporalReplays(client, within),

    startTask: (start) =>
      within(async () => {
        const workflowId = taskWorkflowId(start.taskId, start.run);
        try {
          const handle = await client.workflow.start<(input: TaskInput) => Promise<unknown>>('task', {
            workflowId,
            taskQueue: taskQueues.main,
            workflowTaskTimeout: workflowTaskTimeoutMs,
            args: [{ taskId: start.taskId, run: start.run }],
            workflowIdConflictPolicy: 'USE_EXISTING',
            workflowIdReusePolicy: 'REJECT_DUPLICATE',
            staticSummary: shorten(start.title, 200),
            typedSearchAttributes: searchAttributesOf({
              kind: 'task',
              entity: start.target,
              state: start.state,
              severity: start.severity,
              subsystem: 'squad',
            }),
          });
          return { runId: handle.firstExecutionRunId };
        } catch (error) {
          if (error instanceof WorkflowExecutionAlreadyStartedError) return { runId: null };
          throw error;
        }
      }),

    async ask(ask) {
      const deadline = Date.now() + deadlineMs;
      const handle = client.workflow.getHandle(ask.workflowId);
      for (;;) {
        try {
          return { answer: await connection.withDeadline(deadline, () => update(handle, ask)) };
        } catch (error) {
          const silent = silenceOf(error);
          if (silent === null) throw error;
          if (silent !== 'busy') return { silent };
        }
        if (Date.now() + pauseBetweenTriesMs >= deadline) return { silent: 'unreachable' };
        await sleep(pauseBetweenTriesMs);
      }
    },

    signalApproval: (workflowId, message) =>
      within(() => client.workflow.getHandle(workflowId).signal(approvalSignal, message)),

    signalHold: (workflowId) => within(() => client.workflow.getHandle(workflowId).signal(holdSignal)),

    async runProbe({ probeId, occurrence, waitMs }) {
      const workflowId = probeWorkflowId(probeId, occurrence);
      const runId = await within(() => startProbe(client, workflowId, probeId));
      try {
        const result = await connection.withDeadline(Date.now() + waitMs, () =>
          client.workflow.result<(input: ProbeRunInput) => Promise<ProbeRunResult>>(workflowId),
        );
        return { runId, result, failed: null };
      } catch (error) {
        if (error instanceof WorkflowFailedError)
          return { runId, result: null, failed: error.cause?.message ?? error.message };
        if (isGrpcDeadlineError(error) || silenceOf(error) !== null)
          return { runId, result: null, failed: null };
        throw error;
      }
    },

    check: () =>
      within(async () => {
        await connection.workflowService.getSystemInfo({});
        const { namespace } = client.options;
        await connection.workflowService.describeNamespace({ namespace });
      }),
  };
}

async function startProbe(client: Client, workflowId: string, probeId: string): Promise<string | null> {
  try {
    const handle = await client.workflow.start<(input: ProbeRunInput) => Promise<ProbeRunResult>>(
      'probeRun',
      {
        workflowId,
        taskQueue: taskQueues.main,
        workflowTaskTimeout: workflowTaskTimeoutMs,
        args: [{ probeId }],
        workflowIdConflictPolicy: 'USE_EXISTING',
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        typedSearchAttributes: searchAttributesOf({ kind: 'probe', entity: probeId, subsystem: 'forge' }),
      },
    );
    return handle.firstExecutionRunId;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return null;
    throw error;
  }
}

/** Cuts a text to so many bytes of UTF-8 without cutting a character. */
function shorten(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  const kept = new TextDecoder().decode(Buffer.from(text).subarray(0, maxBytes - 3)).replace(/\uFFFD+$/, '');
  return `${kept}…`;
}
