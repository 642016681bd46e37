import { type Client, ScheduleAlreadyRunning, ScheduleOverlapPolicy } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { auditAnchorId, searchAttributes, taskQueues, workflowTaskTimeoutMs } from '../domain/names.ts';
import type { auditAnchor } from '../workflows/index.ts';

const deadlineMs = 5_000;

/** Makes sure that the heads of the audit are signed each minute; a schedule that is there stays as it is. */
export async function ensureAuditAnchors(client: Client): Promise<void> {
  const attribute = (name: string, value: string) => ({
    key: defineSearchAttributeKey(name, SearchAttributeType.KEYWORD),
    value,
  });
  try {
    await client.withDeadline(Date.now() + deadlineMs, () =>
      client.schedule.create<typeof auditAnchor>({
        scheduleId: auditAnchorId,
        spec: { intervals: [{ every: '1m' }] },
        // A minute that nobody was there for is not made up: the next head covers it.
        policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '10s' },
        action: {
          type: 'startWorkflow',
          workflowType: 'auditAnchor',
          workflowId: auditAnchorId,
          taskQueue: taskQueues.main,
          workflowTaskTimeout: workflowTaskTimeoutMs,
          args: [],
          staticSummary: 'Signs the head of the audit chain',
          typedSearchAttributes: [
            attribute(searchAttributes.kind, auditAnchorId),
            attribute(searchAttributes.entity, 'audit'),
            attribute(searchAttributes.subsystem, 'audit'),
          ],
        },
      }),
    );
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
}
