import {
  ActivityFailure,
  CancellationScope,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  TimeoutFailure,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type {
  DeliveryEnd,
  NotificationActivities,
  NotificationEndActivities,
} from '../activities/notifications.ts';
import { taskQueues } from '../domain/names.ts';
import { stateAttribute } from './describe-run.ts';
import type { NotificationInput } from './inputs.ts';

/** About fifteen tries over an hour; after that the news is old, and the outage is news of its own. */
const { deliverNotification } = proxyActivities<NotificationActivities>({
  taskQueue: taskQueues.effects,
  startToCloseTimeout: '30s',
  heartbeatTimeout: '10s',
  scheduleToCloseTimeout: '1h',
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '10m' },
});

const { failNotification } = proxyLocalActivities<NotificationEndActivities>({
  startToCloseTimeout: '15s',
  retry: { initialInterval: '200ms', maximumInterval: '10s' },
});

/** Delivers one notification: tries until its channel has it, or gives up and says so. */
export async function notification({ notificationId }: NotificationInput): Promise<DeliveryEnd> {
  let end: DeliveryEnd;
  try {
    end = await deliverNotification({ notificationId });
  } catch (error) {
    await CancellationScope.nonCancellable(() =>
      failNotification({ notificationId, reason: reasonOf(error) }),
    );
    if (isCancellation(error)) throw error;
    end = { state: 'failed' };
  }
  upsertSearchAttributes([{ key: stateAttribute, value: end.state }]);
  return end;
}

function reasonOf(error: unknown): string {
  if (isCancellation(error)) return 'The run was cancelled in Temporal.';
  const cause = error instanceof ActivityFailure ? error.cause : error;
  // The time over all tries is up: what the last of them said is inside.
  const last = cause instanceof TimeoutFailure && cause.cause !== undefined ? cause.cause : cause;
  if (last instanceof TimeoutFailure) return 'No worker finished sending it in time.';
  return last instanceof Error ? last.message : 'It could not be sent.';
}
