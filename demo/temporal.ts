import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { StackConfig } from '../stack/config.ts';
import type { Stack } from '../stack/start.ts';

export type Temporal = {
  /** Sends a signal as anybody at a terminal would: with the `temporal` program where the server is a local one. */
  signal: (workflowId: string, name: string, input: object) => Promise<void>;
  /** What the run made of its newest signal, once it has; read from its history. */
  answerToSignal: (workflowId: string) => Promise<SignalAnswer | null>;
  /** The run of a schedule that emitted this event; its link is null where the Web UI is not known. */
  findScheduledRun: (scheduleId: string, eventId: string) => Promise<{ run: string | null } | null>;
  close: () => Promise<void>;
};

export type SignalAnswer = { accepted: boolean; refused?: string; message?: string };

type TemporalInput = { config: StackConfig; stack: Stack; signal: AbortSignal };

export async function connectTemporal({ config, stack, signal: ending }: TemporalInput): Promise<Temporal> {
  const loaded = loadClientConnectConfig({ overrideEnvVars: stack.temporal });
  const namespace = loaded.namespace ?? 'default';
  const connection = await Connection.connect(loaded.connectionOptions);
  const client = new Client({ connection, namespace });
  const cli = config.temporal.kind === 'local' ? config.temporal.cli : null;

  function urlOf(workflowId: string, runId: string): string | null {
    const ui = stack.urls.temporalUi;
    return ui && `${ui}/namespaces/${namespace}/workflows/${encodeURIComponent(workflowId)}/${runId}/history`;
  }

  return {
    async signal(workflowId, name, input) {
      if (cli === null) return client.workflow.getHandle(workflowId).signal(name, input);
      const words = ['workflow', 'signal', '--workflow-id', workflowId, '--name', name];
      await promisify(execFile)(cli, [...words, '--input', JSON.stringify(input)], {
        env: { PATH: '/usr/bin:/bin', HOME: config.dataDir, ...stack.temporal },
        signal: ending,
        timeout: 20_000,
      });
    },

    async answerToSignal(workflowId) {
      const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
      const all = events ?? [];
      const sent = all.findLastIndex((event) => event.workflowExecutionSignaledEventAttributes);
      if (sent === -1) return null;
      const markers = all.slice(sent).map((event) => event.markerRecordedEventAttributes?.details?.result);
      const payload = markers.find((result) => result?.payloads?.length)?.payloads?.[0];
      return payload ? defaultPayloadConverter.fromPayload<{ outcome: SignalAnswer }>(payload).outcome : null;
    },

    async findScheduledRun(scheduleId, eventId) {
      const { info } = await client.schedule.getHandle(scheduleId).describe();
      for (const { action } of info.recentActions.toReversed()) {
        const { workflowId, firstExecutionRunId } = action.workflow;
        const handle = client.workflow.getHandle(workflowId, firstExecutionRunId);
        const result = (await handle.result()) as { eventId: string };
        if (result.eventId === eventId) return { run: urlOf(workflowId, firstExecutionRunId) };
      }
      return null;
    },

    close: () => connection.close(),
  };
}
