import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createWebhookHandler } from '../../activities/webhook-handler.ts';
import { readAfter } from '../../db/events.ts';
import { createInstallation } from '../../db/installation.ts';
import { createSecretBox } from '../../db/sealed.ts';
import { getSubscription } from '../../db/subscriptions.ts';
import { clusterSubscription } from '../../domain/bridge.ts';
import { type DeliveryReport, nothingFailed } from '../../domain/delivery.ts';
import type { LoggedEvent } from '../../domain/events.ts';
import { listenForEvents } from '../../db/wakeups.ts';
import type { Untyped } from '../support/api.ts';
import { type ApiProcess, startApiProcess } from '../support/api-process.ts';
import { type Consumer, consumersOf } from '../support/consumers.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { signedHeaders } from '../support/signed.ts';
import { eventually } from './eventually.ts';

/** A whole DreamNet without its worker: a database and an API process of its own. */
type Side = { database: TestDatabase; api: ApiProcess };
let a: Side;
let b: Side;
const key = clusterSubscription('b');
let consumers: ReturnType<typeof consumersOf>;
let consumer: Consumer | null = null;

async function aSide(): Promise<Side> {
  const database = await openTestDatabase();
  return { database, api: await startApiProcess(database) };
}

async function must(side: Side, method: string, path: string, body?: object): Promise<Untyped> {
  const answer = await side.api.call(method, path, body);
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
  return answer.body;
}

beforeAll(async () => {
  [a, b] = await Promise.all([aSide(), aSide()]);
  const { hook } = await must(b, 'POST', '/v1/hooks', { name: 'from-a', eventType: 'a', form: 'event' });
  const { signingSecret } = await must(a, 'POST', '/v1/bridge/clusters', {
    ...{ name: 'b', url: `${b.api.url()}${hook.path}`, allowPrivateNetwork: true },
  });
  await must(b, 'POST', `/v1/hooks/${hook.id}/rotate-secret`, { overlapSeconds: 0, secret: signingSecret });
  // As often as it takes until the other one is back.
  await a.database
    .root`update subscriptions set max_attempts = 1000, backoff_ms = 200, max_backoff_ms = 1000 where key = ${key}`;
  consumers = consumersOf(a.database, await listenForEvents(a.database.log), key, theHandler());
});

afterAll(async () => {
  await consumer?.stop();
  await Promise.all([a.api.stop(), b.api.stop()]);
});

/** The worker's own handler and consumer, which sign with the secret of this side and post to the other. */
function theHandler() {
  const { agentRoot, secretBoxKey } = a.api;
  return createWebhookHandler({ database: a.database, agentRoot, secretBox: createSecretBox(secretBoxKey) });
}

async function deliver(event: LoggedEvent): Promise<DeliveryReport> {
  const row = await getSubscription(a.database.db, key);
  const signal = AbortSignal.timeout(60_000);
  const delivery = { event, part: '', attempt: 1, replay: null };
  return theHandler().deliver([delivery], { subscription: key, config: row?.config ?? {}, signal });
}

async function sent(eventId: string): Promise<LoggedEvent> {
  const find = async () =>
    (await readAfter(a.database.log, { tx: '0', seq: '0' }, 1000)).find(({ id }) => id === eventId);
  await eventually(find).toBeDefined();
  return (await find()) as LoggedEvent;
}

const broadcast = (n: number) =>
  must(a, 'POST', '/v1/broadcasts', { clusters: ['b'], type: 'star.signal', payload: { n } });
const arrived = async (): Promise<Untyped[]> =>
  b.database.root`
    select payload, path, destination from events where source_id = 'hook:from-a' order by tx, seq`;
const breathOf = (): Promise<Untyped> => must(a, 'GET', '/v1/bridge/clusters/b');
const untilRelayed = (count: number) => eventually(arrived).toHaveLength(count);

// The other one is started anew in them, which takes its time on a busy machine.
describe('a broadcast from one DreamNet to another', { timeout: 180_000 }, () => {
  test('arrives once, with the path it came, however often it is sent', async () => {
    const { clusters } = await broadcast(1);
    expect(await breathOf()).toMatchObject({ state: 'open', backlog: 1 });
    const event = await sent(clusters[0].eventId);
    for (let at = 0; at < 3; at += 1) expect(await deliver(event)).toEqual(nothingFailed);
    consumer = consumers.start();
    await eventually(async () => (await breathOf()).backlog).toBe(0);
    const path = [
      await createInstallation(a.database.db).place(),
      await createInstallation(b.database.db).place(),
    ];
    expect(new Set(path).size).toBe(2);
    expect(await arrived()).toEqual([{ payload: { n: 1 }, path, destination: null }]);
    expect(await breathOf()).toMatchObject({ backlog: 0, outboundPerMinute: 1, failedAcks: 0 });
  });

  test('waits while the other one is away, and arrives once when it is back', async () => {
    await b.api.kill();
    await broadcast(2);
    await broadcast(3);
    await eventually(async () => (await breathOf()).failedAcks).toBe(2);
    expect(await breathOf()).toMatchObject({ backlog: 2 });
    await b.api.restart();
    await untilRelayed(3);
    expect((await arrived()).map(({ payload }) => payload.n).sort()).toEqual([1, 2, 3]);
    await eventually(async () => (await breathOf()).backlog).toBe(0);
    expect(await breathOf()).toMatchObject({ failedAcks: 0 });
  });

  test('that was taken just before the other one died is not taken twice', async () => {
    const { clusters } = await broadcast(4);
    await untilRelayed(4);
    await b.api.kill();
    await b.api.restart();
    expect(await deliver(await sent(clusters[0].eventId))).toEqual(nothingFailed);
    expect(await arrived()).toHaveLength(4);
  });

  test('does not come back: the first one knows itself in the path', async () => {
    const { hook, secret } = await must(a, 'POST', '/v1/hooks', {
      ...{ name: 'from-b', eventType: 'b', form: 'event' },
    });
    const { path } = (await arrived())[0];
    const raw = JSON.stringify({
      ...{ id: 'evt_back', type: 'star.signal', severity: 'info', payload: {}, path },
    });
    const headers = signedHeaders(secret, raw);
    const answer = await fetch(`${a.api.url()}${hook.path}`, { method: 'POST', headers, body: raw });
    expect(answer.status).toBe(409);
  });
});
