import { beforeAll, describe, expect, test } from 'vitest';
import { readAfter } from '../../db/events.ts';
import { derivedId } from '../../db/ids.ts';
import { createInstallation } from '../../db/installation.ts';
import { subscriptionSecret } from '../../db/signing-secret.ts';
import { moveCursor, takeLease } from '../../db/subscriptions.ts';
import { clusterDestination, clusterSubscription } from '../../domain/bridge.ts';
import type { LoggedEvent } from '../../domain/events.ts';
import type { Untyped } from '../support/api.ts';
import { type ApiProcess, startApiProcess } from '../support/api-process.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { signedHeaders } from '../support/signed.ts';
import { eventually } from './eventually.ts';

/** A whole DreamNet without its worker: a database and an API process of its own. */
type Side = { database: TestDatabase; api: ApiProcess };
let a: Side;
let b: Side;
let hookPath: string;

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
  hookPath = hook.path;
  const { signingSecret } = await must(a, 'POST', '/v1/bridge/clusters', {
    ...{ name: 'b', url: `${b.api.url()}${hookPath}`, allowPrivateNetwork: true },
  });
  await must(b, 'POST', `/v1/hooks/${hook.id}/rotate-secret`, { overlapSeconds: 0, secret: signingSecret });
});

/** Posts an event as the webhook of a subscription does; null when nobody answers. */
async function post(event: LoggedEvent): Promise<number | null> {
  const key = clusterSubscription('b');
  const raw = JSON.stringify({
    ...{ id: event.id, type: event.type, source: { type: event.sourceType, id: event.sourceId } },
    ...{ severity: event.severity, priority: event.priority, payload: event.payload, path: event.path },
    ...{ metadata: event.metadata, correlationId: event.correlationId, occurredAt: event.occurredAt },
  });
  const id = derivedId('dlv', [key, event.id, '', ''].join('|'));
  const headers = signedHeaders(subscriptionSecret(a.api.agentRoot, key, 1), raw, { id });
  try {
    const url = `${b.api.url()}${hookPath}`;
    return (await fetch(url, { method: 'POST', headers, body: raw })).status;
  } catch {
    return null;
  }
}

/** One turn of the cluster's consumer: hands over in order, and moves the cursor over what was taken. */
async function relay(times = 1): Promise<(number | null)[]> {
  const key = clusterSubscription('b');
  const lease = await takeLease(a.database.log, key);
  if (lease === null) throw new Error('the cluster has no subscription');
  const statuses: (number | null)[] = [];
  for (const event of await readAfter(a.database.log, lease.cursor, 1000)) {
    if (event.destination === clusterDestination('b')) {
      let status: number | null = null;
      for (let at = 0; at < times; at += 1) status = await post(event);
      statuses.push(status);
      if (status !== 202) break;
    }
    await moveCursor(a.database.log, { key, epoch: lease.epoch, to: event, delivered: 1 });
  }
  return statuses;
}

const broadcast = (n: number) =>
  must(a, 'POST', '/v1/broadcasts', { clusters: ['b'], type: 'star.signal', payload: { n } });
const arrived = async (): Promise<Untyped[]> =>
  b.database.root`
    select payload, path, destination from events where source_id = 'hook:from-a' order by tx, seq`;
const breathOf = (): Promise<Untyped> => must(a, 'GET', '/v1/bridge/clusters/b');
const untilRelayed = (count: number) =>
  eventually(async () => {
    await relay();
    return arrived();
  }).toHaveLength(count);

// The other one is started anew in them, which takes its time on a busy machine.
describe('a broadcast from one DreamNet to another', { timeout: 180_000 }, () => {
  test('arrives once, with the path it came, however often it is sent', async () => {
    await broadcast(1);
    expect(await breathOf()).toMatchObject({ state: 'open', backlog: 1 });
    await eventually(() => relay(3)).toEqual([202]);
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
    await eventually(() => relay()).toEqual([null]);
    expect(await breathOf()).toMatchObject({ backlog: 2 });
    await b.api.restart();
    await untilRelayed(3);
    expect((await arrived()).map(({ payload }) => payload.n)).toEqual([1, 2, 3]);
    expect(await breathOf()).toMatchObject({ backlog: 0 });
  });

  test('that was taken just before the other one died is not taken twice', async () => {
    const { clusters } = await broadcast(4);
    const find = async (): Promise<LoggedEvent | undefined> =>
      (await readAfter(a.database.log, { tx: '0', seq: '0' }, 1000)).find(
        ({ id }) => id === clusters[0].eventId,
      );
    await eventually(find).toBeDefined();
    expect(await post((await find()) as LoggedEvent)).toBe(202);
    await b.api.kill();
    await b.api.restart();
    await untilRelayed(4);
    await relay();
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
