import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { readStanding } from '../db/backlog.ts';
import type { Database } from '../db/client.ts';
import { horizonAgeMs } from '../db/events.ts';
import { inboxAge } from '../db/status.ts';
import { listSubscriptions } from '../db/subscriptions.ts';
import { subscriptionState } from '../domain/subscription-request.ts';

/** What this process counts as requests go by. Labels are bounded: templates of paths, never what stands in them. */
export type Metrics = {
  observe(request: { operation: string | null; status: number; ms: number }): void;
  countEvents(costs: { events: number; bytes: number }): void;
  /** Everything in Prometheus' text format, with what the record says now. */
  render(database: Database): Promise<string>;
};

export const metricsType = Registry.PROMETHEUS_CONTENT_TYPE;

const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

// Its watches on the event loop and the garbage collector are of the process, however many apps there are in it.
let ofProcess: Registry | null = null;
function processRegistry(): Registry {
  if (ofProcess !== null) return ofProcess;
  ofProcess = new Registry();
  collectDefaultMetrics({ register: ofProcess, prefix: 'dreamnet_api_' });
  return ofProcess;
}

export function createMetrics(): Metrics {
  const registers = [new Registry()];
  const requests = new Histogram({
    name: 'dreamnet_http_request_duration_seconds',
    help: 'Time to the answer, by route template and status class.',
    labelNames: ['method', 'route', 'status'],
    buckets,
    registers,
  });
  const events = new Counter({
    name: 'dreamnet_events_received_total',
    help: 'Events taken in over HTTP, duplicates included.',
    registers,
  });
  const bytes = new Counter({
    name: 'dreamnet_event_bytes_received_total',
    help: 'Bytes of the requests that brought events.',
    registers,
  });

  return {
    observe({ operation, status, ms }) {
      const [method = 'OTHER', route = 'none'] = operation?.split(' ') ?? [];
      requests.observe({ method, route, status: `${Math.floor(status / 100)}xx` }, ms / 1000);
    },
    countEvents(costs) {
      events.inc(costs.events);
      bytes.inc(costs.bytes);
    },
    async render(database) {
      const recorded = await recordRegistry(database);
      const parts = [recorded, ...registers, processRegistry()].map((registry) => registry.metrics());
      return (await Promise.all(parts)).join('\n');
    },
  };
}

/** What the record says, read for this one scrape: a subscription that is gone leaves no line behind. */
async function recordRegistry({ db, log }: Database): Promise<Registry> {
  const rows = (await listSubscriptions(db)).filter(({ enabled }) => enabled);
  const keys = rows.map(({ key }) => key);
  const [horizonMs, standingOf, inbox] = await Promise.all([
    horizonAgeMs(log),
    readStanding(log, keys),
    inboxAge(log),
  ]);
  const registry = new Registry();
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `dreamnet_${name}`, help, labelNames, registers: [registry] });
  gauge('horizon_age_seconds', 'Age of the oldest transaction that holds readers of the log back.').set(
    horizonMs / 1000,
  );
  gauge('inbox_open', 'Approvals that wait for a person.').set(inbox.open);
  gauge('inbox_oldest_age_seconds', 'How long the oldest of them waits.').set(inbox.oldestMs / 1000);

  const of = ['subscription'];
  const backlog = gauge(
    'subscription_backlog_events',
    'Events that wait, in the next 10,000 of the log of each lane.',
    of,
  );
  const lag = gauge('subscription_lag_seconds', 'Age of the oldest event that is not handled.', of);
  const delivered = gauge('subscription_delivered', 'Events handed over so far.', of);
  const paused = gauge('subscription_paused', '1 while it is paused.', of);
  const pending = gauge('deliveries_pending', 'Deliveries of their own that have not ended.', of);
  const dead = gauge('dead_letters_open', 'Dead letters that nobody has dealt with.', of);
  for (const row of rows) {
    const label = { subscription: row.key };
    const stands = standingOf(row.key);
    backlog.set(label, stands.waiting);
    lag.set(label, stands.lagMs / 1000);
    delivered.set(label, stands.delivered);
    paused.set(label, subscriptionState(row) === 'paused' ? 1 : 0);
    pending.set(label, stands.pending);
    dead.set(label, stands.openDeadLetters);
  }
  return registry;
}
