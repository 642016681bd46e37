import type { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { Database } from '../db/client.ts';
import { deliveryId } from '../db/deliveries.ts';
import type { Delivery, DeliveryFailure, EventHandler } from '../domain/delivery.ts';
import { publicEvent } from '../domain/event-view.ts';
import type { JsonObject } from '../domain/json.ts';
import { taskQueues } from '../domain/names.ts';
import { isRefusal } from '../domain/refusal.ts';
import { signalTarget } from '../domain/signal-target.ts';
import { holdOnDeliveries } from './delivery-hold.ts';
import { Unavailable } from './event-handlers.ts';

type Deps = { database: Database; client: Client };

const deadlineMs = 5_000;
const grpc = { invalidArgument: 3, notFound: 5 } as const;
const ownQueues: readonly string[] = Object.values(taskQueues);

/**
 * Sends each event as a signal to a workflow of somebody else. Temporal takes a signal of the same delivery once, so that a
 * repetition after a lost answer acts once.
 */
export function createSignalHandler({ database, client }: Deps): EventHandler {
  const within = <T>(call: () => Promise<T>): Promise<T> =>
    client.withDeadline(Date.now() + deadlineMs, call);
  const { namespace } = client.options;

  /** The queue tells whose run it is, whatever its id looks like. */
  async function isOwnRun(workflowId: string): Promise<boolean> {
    const { executionConfig } = await within(() =>
      client.workflowService.describeWorkflowExecution({ namespace, execution: { workflowId } }),
    );
    return ownQueues.includes(executionConfig?.taskQueue?.name ?? '');
  }

  async function signalOne(
    { event, attempt, part, replay }: Delivery,
    { key, config }: { key: string; config: JsonObject },
  ): Promise<string | null> {
    const workflowId = signalTarget(wordOf(config.workflowId), event);
    if (isRefusal(workflowId)) return workflowId.message;
    const said = {
      ...publicEvent(event),
      subscription: key,
      attempt,
      ...(replay === null ? {} : { replayOf: replay.id }),
    };
    try {
      if (await isOwnRun(workflowId))
        return `${workflowId} is a run of this system, which takes no signals of subscriptions.`;
      await within(() =>
        client.workflowService.signalWorkflowExecution({
          namespace,
          workflowExecution: { workflowId },
          signalName: wordOf(config.signal),
          input: { payloads: [defaultPayloadConverter.toPayload(said)] },
          requestId: deliveryId({ subscription: key, eventId: event.id, part, replayId: replay?.id ?? null }),
          identity: 'dreamnet-bus',
        }),
      );
      return null;
    } catch (error) {
      const code = codeOf(error);
      if (code === grpc.notFound) return `No workflow ${workflowId} is running.`;
      if (code === grpc.invalidArgument)
        return `Temporal refused the signal to ${workflowId}: ${error instanceof Error ? error.message : 'unknown'}.`;
      throw new Unavailable('Temporal does not answer.', { cause: error });
    }
  }

  return {
    async deliver(deliveries, { subscription: key, config, signal }) {
      const hold = await holdOnDeliveries(database.db, key);
      if (hold !== null) throw new Unavailable(hold.message);
      const failures: DeliveryFailure[] = [];
      // One after the other: signals of a thread arrive in the order of the log.
      for (const delivery of deliveries) {
        signal.throwIfAborted();
        const { event, part } = delivery;
        const error = await signalOne(delivery, { key, config });
        if (error !== null)
          failures.push({ eventId: event.id, part, cause: 'REFUSED', error, isFinal: true });
      }
      return { failures, later: [] };
    },

    preview(deliveries, { config }) {
      return Promise.resolve(
        deliveries.map(({ event, part }) => {
          const target = signalTarget(wordOf(config.workflowId), event);
          const name = wordOf(config.signal);
          return {
            eventId: event.id,
            part,
            would: isRefusal(target) ? `fail: ${target.message}` : `send signal ${name} to ${target}`,
            detail: { workflowId: isRefusal(target) ? null : target, signal: name },
          };
        }),
      );
    },
  };
}

const wordOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function codeOf(error: unknown): number | null {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
  return typeof code === 'number' ? code : null;
}
