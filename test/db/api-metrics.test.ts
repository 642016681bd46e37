import { beforeAll, describe, expect, test } from 'vitest';
import { appendEvents } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import { ensureSubscription } from '../../db/subscriptions.ts';
import { eventInputSchema } from '../../domain/events.ts';
import { haloSubscription } from '../../domain/subscription.ts';
import { createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;
let people: People;
let api: TestApi;
let keys: Record<keyof People, string>;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
  api = createTestApi(database);
  await ensureSubscription(database.log, haloSubscription);
});

type Sample = { name: string; labels: Record<string, string>; value: number };

/** Reads the text format as Prometheus does; a line that is none of it throws. */
function parse(text: string): Sample[] {
  // prom-client writes Nan where others write NaN; Prometheus takes both.
  return text.split('\n').flatMap((line) => {
    if (line === '' || /^# (?:HELP|TYPE) [a-zA-Z_:][\w:]* .+$/.test(line)) return [];
    const [, name = '', inside = '', value = ''] =
      /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (-?[\d.e+-]+|NaN|Nan|[+-]Inf)$/.exec(line) ??
      raise(`no line of the text format: ${line}`);
    const labels = [...inside.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?/g)];
    expect(labels.map(([whole]) => whole).join('')).toBe(inside);
    return [
      {
        name,
        labels: Object.fromEntries(labels.map(([, label = '', text = '']) => [label, text])),
        value: Number(value),
      },
    ];
  });
}

function raise(message: string): never {
  throw new Error(message);
}

async function scrape(): Promise<Sample[]> {
  const { status, body, headers } = await api.call('GET', '/metrics', { as: keys.viewer });
  expect(status).toBe(200);
  expect(headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  return parse(body);
}

const valueOf = (samples: Sample[], name: string, labels: Record<string, string> = {}): number | undefined =>
  samples.find(
    (one) =>
      one.name === name && Object.entries(labels).every(([label, value]) => one.labels[label] === value),
  )?.value;

describe('metrics', () => {
  test('are for those who may read them', async () => {
    expect(await api.call('GET', '/metrics')).toMatchObject({ status: 401 });
    expect(await api.call('GET', '/metrics', { as: keys.agent })).toMatchObject({ status: 403 });
  });

  test('tell where the bus and the inbox stand', async () => {
    await aTask(database, people);
    const failed = { type: 'agent.error', source: { type: 'api', id: 'shop' }, severity: 'error' };
    await appendEvents(database.log, [eventInputSchema.parse(failed), eventInputSchema.parse(failed)]);
    const of = { subscription: 'halo' };
    await eventually(async () => valueOf(await scrape(), 'dreamnet_subscription_backlog_events', of)).toBe(2);
    const samples = await scrape();
    expect(valueOf(samples, 'dreamnet_subscription_lag_seconds', of)).toBeGreaterThan(0);
    expect(valueOf(samples, 'dreamnet_subscription_delivered', of)).toBe(0);
    expect(valueOf(samples, 'dreamnet_subscription_paused', of)).toBe(0);
    expect(valueOf(samples, 'dreamnet_deliveries_pending', of)).toBe(0);
    expect(valueOf(samples, 'dreamnet_dead_letters_open', of)).toBe(0);
    expect(valueOf(samples, 'dreamnet_inbox_open')).toBe(1);
    expect(valueOf(samples, 'dreamnet_inbox_oldest_age_seconds')).toBeGreaterThan(0);
    expect(valueOf(samples, 'dreamnet_horizon_age_seconds')).toBeGreaterThanOrEqual(0);
    expect(valueOf(samples, 'dreamnet_api_process_resident_memory_bytes')).toBeGreaterThan(0);
  });

  test('count requests by the template of their path and never by what stands in it', async () => {
    const task = await aTask(database, people);
    await api.call('GET', `/v1/tasks/${task.id}`, { as: keys.viewer });
    await api.call('GET', '/v1/tasks/tsk_nothing', { as: keys.viewer });
    await api.call('GET', `/v1/secret-${task.id}`, { as: keys.viewer });
    await api.call('GET', `/elsewhere/${task.id}`);
    const two = [{}, {}].map(() => ({ type: 'shop.sold', source: { type: 'api', id: newId('shop') } }));
    expect(await api.call('POST', '/v1/events', { as: keys.admin, body: two })).toMatchObject({
      status: 202,
    });
    const samples = await scrape();
    const count = 'dreamnet_http_request_duration_seconds_count';
    const route = { method: 'GET', route: '/v1/tasks/{id}' };
    expect(valueOf(samples, count, { ...route, status: '2xx' })).toBe(1);
    expect(valueOf(samples, count, { ...route, status: '4xx' })).toBe(1);
    expect(valueOf(samples, count, { route: 'none', status: '4xx' })).toBe(2);
    expect(valueOf(samples, 'dreamnet_events_received_total')).toBe(2);
    expect(valueOf(samples, 'dreamnet_event_bytes_received_total')).toBeGreaterThan(50);
    const labels = samples.map((one) => JSON.stringify(one.labels)).join('\n');
    expect(labels).not.toContain(task.id);
    expect(labels).not.toMatch(/(?:tsk|prn|evt|apr|dec|shop)_[0-9a-z]{6,}/);
  });

  test('of a subscription that was removed are gone', async () => {
    const body = { key: 'passing', handler: { kind: 'webhook', url: 'https://example.com/x' } };
    await api.call('POST', '/v1/subscriptions', { as: keys.admin, body });
    const paused = async () =>
      valueOf(await scrape(), 'dreamnet_subscription_paused', { subscription: 'passing' });
    expect(await paused()).toBe(0);
    await database.root`update subscriptions set paused_at = now() where key = 'passing'`;
    expect(await paused()).toBe(1);
    await api.call('DELETE', '/v1/subscriptions/passing', { as: keys.admin });
    expect(await paused()).toBeUndefined();
  });
});
