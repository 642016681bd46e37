import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
} from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { triggersOf } from '../domain/bus-triggers.ts';
import type { LoggedEvent } from '../domain/events.ts';
import { emptyHaloLoop, type HaloTrigger } from '../domain/halo-loop.ts';
import {
  haloWorkflowId,
  messageNames,
  notificationWorkflowId,
  redriveWorkflowId,
  replayWorkflowId,
  type RunDescription,
  runAttributes,
  runSummary,
  searchAttributes,
  subscriptionWorkflowId,
  taskQueues,
  taskWorkflowId,
  workflowTaskTimeoutMs,
} from '../domain/names.ts';
import { redriveSummary } from '../domain/redrive.ts';
import type { Refusal } from '../domain/refusal.ts';
import type { haloLoop, notification, redrive, replay, subscription, task } from '../workflows/index.ts';

const deadlineMs = 5_000;

function described(run: RunDescription) {
  const typedSearchAttributes = Object.entries(runAttributes(run)).map(([name, value]) => ({
    key: defineSearchAttributeKey(name, SearchAttributeType.KEYWORD),
    value,
  }));
  return {
    staticSummary: runSummary(run),
    typedSearchAttributes,
    workflowTaskTimeout: workflowTaskTimeoutMs,
  };
}

function subscriptionRun(key: string) {
  return {
    workflowId: subscriptionWorkflowId(key),
    taskQueue: taskQueues.main,
    args: [{ key }] as [{ key: string }],
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    ...described({
      summary: `Delivers events of subscription ${key}`,
      kind: 'subscription',
      entity: key,
      state: 'running',
      severity: 'info',
      subsystem: 'bus',
    }),
  };
}

export type StartableTask = {
  id: string;
  run: number;
  title: string;
  target: string;
  state: string;
  severity: string;
};

export type StartableNotification = { id: string; title: string; channelId: string; severity: string };

export type StartableRedrive = { id: string; total: number; state: string };

/** What a run says to a request it was sent. */
type RunAnswer = { accepted: true } | ({ accepted: false } & Refusal);

/** The starts a worker makes itself. Each is repeatable: a run that is there already is what was wanted. */
export function createRuns(client: Client) {
  const within = <T>(call: () => Promise<T>): Promise<T> =>
    client.withDeadline(Date.now() + deadlineMs, call);

  return {
    async startTask(row: StartableTask): Promise<void> {
      try {
        await within(() =>
          client.workflow.start<typeof task>('task', {
            workflowId: taskWorkflowId(row.id, row.run),
            taskQueue: taskQueues.main,
            args: [{ taskId: row.id, run: row.run }],
            workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
            workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
            ...described({
              summary: row.title,
              kind: 'task',
              entity: row.target,
              state: row.state,
              severity: row.severity,
              subsystem: 'squad',
            }),
          }),
        );
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      }
    },

    async startSubscription(key: string): Promise<void> {
      await within(() => client.workflow.start<typeof subscription>('subscription', subscriptionRun(key)));
    },

    /** Tells a subscription that a request is on record, and starts its run where there is none. */
    async tellSubscription(key: string, signal: string, requestId: string): Promise<void> {
      await within(() =>
        client.workflow.signalWithStart<typeof subscription, [{ requestId: string }]>('subscription', {
          ...subscriptionRun(key),
          signal,
          signalArgs: [{ requestId }],
        }),
      );
    },

    async startNotification(row: StartableNotification): Promise<void> {
      try {
        await within(() =>
          client.workflow.start<typeof notification>('notification', {
            workflowId: notificationWorkflowId(row.id),
            taskQueue: taskQueues.main,
            args: [{ notificationId: row.id }],
            workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
            workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
            ...described({
              summary: row.title,
              kind: 'notification',
              entity: row.channelId,
              state: 'queued',
              severity: row.severity,
              subsystem: 'notify',
            }),
          }),
        );
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      }
    },

    /** A run that was ended in Temporal itself is started again: who wants it to end cancels the redrive. */
    async startRedrive(row: StartableRedrive): Promise<void> {
      await within(() =>
        client.workflow.start<typeof redrive>('redrive', {
          workflowId: redriveWorkflowId(row.id),
          taskQueue: taskQueues.main,
          args: [{ redriveId: row.id }],
          workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
          ...described({
            summary: redriveSummary(row.total),
            kind: 'redrive',
            entity: row.id,
            state: row.state,
            severity: 'info',
            subsystem: 'bus',
          }),
        }),
      );
    },

    async startReplay(row: { id: string; subscription: string }): Promise<void> {
      try {
        await within(() =>
          client.workflow.start<typeof replay>('replay', {
            workflowId: replayWorkflowId(row.id),
            taskQueue: taskQueues.main,
            args: [{ replayId: row.id, looks: 0 }],
            workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
            workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
            ...described({
              summary: `Hands recorded events to ${row.subscription} again`,
              kind: 'replay',
              entity: row.subscription,
              state: 'running',
              severity: 'info',
              subsystem: 'bus',
            }),
          }),
        );
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      }
    },

    /** Hands a batch of events to HALO; its own are left out. */
    async triggerHalo(events: LoggedEvent[]): Promise<void> {
      for (const trigger of triggersOf(events)) await this.signalHalo(trigger);
    },

    /** Hands a trigger to the loop, and starts the loop where it does not run. */
    async signalHalo(trigger: HaloTrigger): Promise<void> {
      await within(() =>
        client.workflow.signalWithStart<typeof haloLoop, [HaloTrigger]>('haloLoop', {
          workflowId: haloWorkflowId,
          taskQueue: taskQueues.main,
          args: [{ state: emptyHaloLoop() }],
          signal: messageNames.haloTrigger,
          signalArgs: [trigger],
          ...described({
            summary: 'HALO: gathers triggers and runs one cycle at a time',
            kind: 'halo-loop',
            entity: haloWorkflowId,
            state: 'running',
            severity: 'info',
            subsystem: 'halo',
          }),
        }),
      );
    },

    /** Sends a signal that carries nothing: whoever gets it asks the record. */
    async signal(workflowId: string, name: string): Promise<void> {
      await within(() => client.workflow.getHandle(workflowId).signal(name));
    },

    /** Sends a recorded request to its run again, under the same update id, so that it acts once however often it arrives. */
    sendAgain(request: {
      id: string;
      workflowId: string;
      update: string;
      args: unknown;
    }): Promise<RunAnswer> {
      const handle = client.workflow.getHandle(request.workflowId);
      return within(() =>
        handle.executeUpdate<RunAnswer, [unknown]>(request.update, {
          updateId: request.id,
          args: [request.args],
        }),
      );
    },

    /** Runs of the last hour that somebody ended in Temporal itself, or that Temporal gave up. */
    async listBrokenRuns(
      kind: 'task' | 'replay',
    ): Promise<{ workflowId: string; runId: string; status: string }[]> {
      const since = new Date(Date.now() - 3_600_000).toISOString();
      const query = `${searchAttributes.kind} = '${kind}' AND CloseTime > '${since}' AND ExecutionStatus IN ('Terminated', 'Failed', 'TimedOut', 'Canceled')`;
      const found: { workflowId: string; runId: string; status: string }[] = [];
      for await (const { workflowId, runId, status } of client.workflow.list({ query, pageSize: 100 }))
        found.push({ workflowId, runId, status: status.name });
      return found;
    },
  };
}

export type Runs = ReturnType<typeof createRuns>;
