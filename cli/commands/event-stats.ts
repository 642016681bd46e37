import { command } from '../command.ts';
import { readNumber } from '../input.ts';
import { type Cell, facts, type Output, table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import type { EventStats, Percentiles } from '../bus-views.ts';
import { windowArgs } from './thread.ts';

const share = (value: number): string => `${(value * 100).toFixed(1)} %`;

function spread(values: Percentiles | null, unit = ' ms'): string | null {
  if (values === null) return null;
  const { p50, p90, p99, max } = values;
  return `p50 ${p50}${unit}, p90 ${p90}${unit}, p99 ${p99}${unit}, most ${max}${unit}`;
}

function describe(out: Output, stats: EventStats): string[] {
  const part = (heads: string[], rows: Cell[][]): string[] =>
    rows.length === 0 ? [] : ['', ...table(out, heads, rows)];
  return [
    ...facts(out, [
      ['from', stats.from],
      ['to', stats.to],
      ['events', stats.events],
      ['errors', `${stats.errors} (${share(stats.errorShare)})`],
      ['threads', stats.threads],
      ['without thread', stats.withoutThread],
      ['recording lag', spread(stats.recordingLagMs)],
      ['thread duration', spread(stats.threadDurationMs)],
      ['chain depth', spread(stats.chainDepth, '')],
    ]),
    ...part(
      ['TYPE', 'EVENTS', 'A MINUTE', 'ERRORS'],
      stats.types.map((row) => [row.type, String(row.events), String(row.perMinute), share(row.errorShare)]),
    ),
    ...part(
      ['SOURCE', 'EVENTS', 'ERRORS'],
      stats.sources.map((row) => [`${row.type}:${row.id}`, String(row.events), share(row.errorShare)]),
    ),
    ...part(
      ['CAUSE', 'EFFECT', 'EVENTS'],
      stats.chains.map((row) => [row.cause, row.effect, String(row.events)]),
    ),
    ...part(
      ['BEGINS', 'EVENTS', 'ERRORS'],
      stats.buckets.map((row) => [row.at, String(row.events), share(row.errorShare)]),
    ),
  ];
}

export const statsCommand = command({
  name: 'stats',
  about: 'Rates, errors, lag, threads, sources and chains between two times',
  args: {
    ...windowArgs,
    bucket: { type: 'string', valueHint: 'SECONDS', description: 'Length of one bucket' },
  },
  run: async (session, { from, to, bucket }) => {
    const query = { from, to, bucket: readNumber('bucket', bucket) };
    const reply = await session.api.get('/v1/events/stats', query);
    show(session, reply, () => describe(session.out, bodyOf<EventStats>(reply)));
    return 'ok';
  },
});
