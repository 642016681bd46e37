import { createRoute, z } from '@hono/zod-openapi';
import { countEvents, type EventStats, listedTypes, measuredThreads } from '../../db/event-stats.ts';
import { severities, sourceTypes } from '../../domain/events.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { errorCode, ProblemError, throwRefusal } from '../problems.ts';
import { answer, instant } from '../schemas.ts';
import { readWindow, windowQuery } from '../window.ts';

const maxBuckets = 500;
const usualBuckets = 60;

const count = z.number().int();
const counted = { events: count, errors: count, errorShare: z.number() };
const percentiles = z
  .object({ p50: z.number(), p90: z.number(), p99: z.number(), max: z.number() })
  .nullable();

const stats = createRoute({
  method: 'get',
  path: '/v1/events/stats',
  tags: ['events'],
  summary: 'What the log has between two times: rates, errors, lag, threads, sources and chains',
  ...guard('events:read'),
  request: {
    query: z.strictObject({
      ...windowQuery,
      bucket: z.coerce
        .number()
        .int()
        .min(1)
        .max(2_678_400)
        .optional()
        .openapi({
          description: `Seconds of one bucket; at most ${maxBuckets} buckets. By default a sixtieth of the time.`,
        }),
    }),
  },
  responses: {
    200: answer(
      `Counts over events recorded from \`from\` on and before \`to\`, by default the last 24 hours. The ${listedTypes} most frequent types have names in the buckets, the rest is \`*\`. An error is an event of severity error or critical. \`chainDepth\` is about the ${measuredThreads} newest threads.`,
      z.object({
        from: instant,
        to: instant,
        bucketSeconds: count,
        ...counted,
        /** Events that belong to no thread. */
        withoutThread: count,
        bySeverity: z.partialRecord(z.enum(severities), count),
        types: z.array(z.object({ type: z.string(), perMinute: z.number(), ...counted })),
        buckets: z.array(z.object({ at: instant, ...counted, types: z.record(z.string(), count) })),
        sources: z.array(z.object({ type: z.enum(sourceTypes), id: z.string(), ...counted })),
        chains: z.array(z.object({ cause: z.string(), effect: z.string(), events: count })),
        recordingLagMs: percentiles,
        threads: count,
        threadDurationMs: percentiles,
        /** Events of the longest chain of causes of a thread, for the newest threads; longer ones than 100 count as 100. */
        chainDepth: percentiles,
      }),
    ),
  },
});

function bucketOf(asked: number | undefined, from: Date, to: Date): number {
  const seconds = (to.getTime() - from.getTime()) / 1000;
  const bucket = asked ?? Math.max(1, Math.ceil(seconds / usualBuckets));
  if (seconds / bucket <= maxBuckets) return bucket;
  const least = Math.ceil(seconds / maxBuckets);
  return throwRefusal(
    refuse(
      'INVALID',
      `A bucket of ${bucket} s makes more than ${maxBuckets} of them; ask for ${least} s or more, or for less time.`,
      { maxBuckets, leastBucket: least },
    ),
  );
}

const maxWaiting = 8;

/** One after the other: a count over millions of events must not take the database from everybody else. */
function createTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return (work) => {
    if (waiting >= maxWaiting)
      throwRefusal(
        refuse('LIMIT', `${waiting} counts of events are waiting already; try again in a moment.`),
      );
    waiting += 1;
    const mine = last.then(work).finally(() => {
      waiting -= 1;
    });
    last = mine.catch(() => undefined);
    return mine;
  };
}

const withShare = <T extends { events: number; errors: number }>(row: T) => ({
  ...row,
  errorShare: row.events === 0 ? 0 : Math.round((row.errors / row.events) * 1e4) / 1e4,
});

export function addEventStatsRoute(app: Api, deps: ApiDeps): void {
  const inTurn = createTurns();

  async function read(stretch: { from: Date; to: Date; bucketSeconds: number }): Promise<EventStats> {
    try {
      return await inTurn(() => countEvents(deps.database.db, stretch));
    } catch (error) {
      if (errorCode(error) !== '57014') throw error;
      throw new ProblemError(
        'UNAVAILABLE',
        'Counting these events took too long; ask for less time between from and to.',
        { cause: error },
      );
    }
  }

  app.openapi(stats, async (c) => {
    const query = c.req.valid('query');
    const { from, to } = readWindow(query.from, query.to, new Date(deps.now()));
    const bucketSeconds = bucketOf(query.bucket, from, to);
    const found = await read({ from, to, bucketSeconds });
    const minutes = (to.getTime() - from.getTime()) / 60_000;
    return c.json(
      {
        from: from.toISOString(),
        to: to.toISOString(),
        bucketSeconds,
        ...withShare(found),
        types: found.types.map((row) => ({
          ...withShare(row),
          perMinute: Math.round((row.events / minutes) * 1e3) / 1e3,
        })),
        buckets: found.buckets.map(withShare),
        sources: found.sources.map(withShare),
      },
      200,
    );
  });
}
