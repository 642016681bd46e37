import {
  type Client,
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
} from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import {
  auditAnchorId,
  haloTimerId,
  retentionId,
  searchAttributes,
  taskQueues,
  workflowTaskTimeoutMs,
} from '../domain/names.ts';
import type { auditAnchor, haloTimer, retention } from '../workflows/index.ts';

const deadlineMs = 5_000;

type Repeated = {
  id: string;
  workflow: 'auditAnchor' | 'haloTimer' | 'retention';
  every: '1m' | '1h' | number;
  summary: string;
  entity: string;
  subsystem: string;
};

/** Makes sure that the heads of the audit are signed each minute; a schedule that is there stays as it is. */
export function ensureAuditAnchors(client: Client): Promise<void> {
  return ensureSchedule(client, {
    id: auditAnchorId,
    workflow: 'auditAnchor',
    every: '1m',
    summary: 'Signs the head of the audit chain',
    ...{ entity: 'audit', subsystem: 'audit' },
  });
}

/** Makes sure that what the rules no longer keep is removed each hour; a schedule that is there stays as it is. */
export function ensureRetention(client: Client): Promise<void> {
  return ensureSchedule(client, {
    id: retentionId,
    workflow: 'retention',
    every: '1h',
    summary: 'Removes events that the retention rules no longer keep',
    ...{ entity: 'events', subsystem: 'bus' },
  });
}

/** HALO's schedule as it is configured: made, changed to another interval, or removed by an interval of 0. */
export async function ensureHaloTimer(client: Client, everyMs: number): Promise<void> {
  const handle = client.schedule.getHandle(haloTimerId);
  const within = <T>(call: () => Promise<T>): Promise<T> =>
    client.withDeadline(Date.now() + deadlineMs, call);
  try {
    if (everyMs === 0) return await within(() => handle.delete());
    await ensureSchedule(client, {
      id: haloTimerId,
      workflow: 'haloTimer',
      every: everyMs,
      summary: 'Lets HALO look by itself',
      ...{ entity: 'halo', subsystem: 'halo' },
    });
    const { spec } = await within(() => handle.describe());
    const isSo = spec.intervals?.length === 1 && spec.intervals[0]?.every === everyMs;
    if (isSo) return;
    await within(() => handle.update((found) => ({ ...found, spec: { intervals: [{ every: everyMs }] } })));
  } catch (error) {
    // Removed by another worker, or never there.
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
}

async function ensureSchedule(client: Client, wanted: Repeated): Promise<void> {
  const attribute = (name: string, value: string) => ({
    key: defineSearchAttributeKey(name, SearchAttributeType.KEYWORD),
    value,
  });
  try {
    await client.withDeadline(Date.now() + deadlineMs, () =>
      client.schedule.create<typeof auditAnchor | typeof haloTimer | typeof retention>({
        scheduleId: wanted.id,
        spec: { intervals: [{ every: wanted.every }] },
        // A turn that nobody was there for is not made up: the next one does its work too.
        policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '10s' },
        action: {
          type: 'startWorkflow',
          workflowType: wanted.workflow,
          workflowId: wanted.id,
          taskQueue: taskQueues.main,
          workflowTaskTimeout: workflowTaskTimeoutMs,
          args: [],
          staticSummary: wanted.summary,
          typedSearchAttributes: [
            attribute(searchAttributes.kind, wanted.id),
            attribute(searchAttributes.entity, wanted.entity),
            attribute(searchAttributes.subsystem, wanted.subsystem),
          ],
        },
      }),
    );
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
}
