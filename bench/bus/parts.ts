import { measureParts, type Part } from '../parts.ts';
import type { Bar } from '../report.ts';
import type { Stage } from '../stage.ts';
import { measureBatches, measurePosts } from './ingest.ts';
import { measureDelivery, measureEnqueue, measureIdleDelivery } from './queues.ts';

export const busParts = ['posts', 'batches', 'enqueue', 'delivery', 'idle'] as const;

const parts: Record<(typeof busParts)[number], Part> = {
  posts: { title: 'single events over HTTP, 100 connections', limitMs: 180_000, measure: measurePosts },
  batches: { title: 'batches of 100 events over HTTP', limitMs: 120_000, measure: measureBatches },
  enqueue: { title: 'enqueued without HTTP, beside the peers', limitMs: 240_000, measure: measureEnqueue },
  delivery: { title: 'delivered to a handler that does nothing', limitMs: 300_000, measure: measureDelivery },
  idle: { title: 'one event on an idle system', limitMs: 240_000, measure: measureIdleDelivery },
};

/** The bus (DESIGN 10), and two job queues on Postgres doing the same work in turn with it (issue 5). */
export function benchBus(stage: Stage, options: { only: string[] }): Promise<Bar[]> {
  return measureParts(stage, parts, options.only);
}
