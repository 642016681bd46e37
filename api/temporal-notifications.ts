import {
  type Client,
  type Connection,
  isGrpcDeadlineError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
} from '@temporalio/client';
import { notificationWorkflowId, taskQueues, workflowTaskTimeoutMs } from '../domain/names.ts';
import type { NotificationInput } from '../workflows/inputs.ts';
import { searchAttributesOf } from './search-attributes.ts';
import { type Deadlined, silenceOf } from './temporal-errors.ts';

export type NotificationStart = { notificationId: string; channelId: string; title: string };

export type TemporalNotifications = {
  /** Starts the run that delivers a notification and waits some time for its end; the row tells how it ended. */
  sendNotification(start: NotificationStart & { waitMs: number }): Promise<void>;
};

type Run = (input: NotificationInput) => Promise<unknown>;

export function createTemporalNotifications(
  connection: Connection,
  client: Client,
  within: Deadlined,
): TemporalNotifications {
  async function start({ notificationId, channelId, title }: NotificationStart): Promise<void> {
    try {
      await client.workflow.start<Run>('notification', {
        workflowId: notificationWorkflowId(notificationId),
        taskQueue: taskQueues.main,
        workflowTaskTimeout: workflowTaskTimeoutMs,
        args: [{ notificationId }],
        workflowIdConflictPolicy: 'USE_EXISTING',
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        staticSummary: title,
        typedSearchAttributes: searchAttributesOf({
          kind: 'notification',
          entity: channelId,
          state: 'queued',
          severity: 'info',
          subsystem: 'notify',
        }),
      });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  }

  return {
    async sendNotification({ waitMs, ...given }) {
      await within(() => start(given));
      try {
        await connection.withDeadline(Date.now() + waitMs, () =>
          client.workflow.result<Run>(notificationWorkflowId(given.notificationId)),
        );
      } catch (error) {
        const isOver = error instanceof WorkflowFailedError || isGrpcDeadlineError(error);
        if (!isOver && silenceOf(error) === null) throw error;
      }
    },
  };
}
