import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import dns from 'node:dns';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { Unavailable } from '../../activities/event-handlers.ts';
import { createWebhookHandler } from '../../activities/webhook-handler.ts';
import { deliveryId } from '../../db/deliveries.ts';
import { newId } from '../../db/ids.ts';
import { engageSwitch, releaseSwitch } from '../../db/kill-switch.ts';
import { createSecretBox } from '../../db/sealed.ts';
import { subscriptionSecret } from '../../db/signing-secret.ts';
import { createSubscription, rotateSubscriptionSecret } from '../../db/subscription-change.ts';
import { type Delivery, defaultRetry } from '../../domain/delivery.ts';
import { sealContext } from '../../domain/subscription-request.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { aLoggedEvent } from '../support/events.ts';
import { answer, type Receiver, silence, startWebhookReceiver, verified } from '../support/receivers.ts';

const agentRoot = 'an agent root that only tests use, long enough';
const secretBox = createSecretBox('a secret box key that only tests use, long enough');

let database: TestDatabase;
let receiver: Receiver;
let key: string;

beforeAll(async () => {
  database = await openTestDatabase();
});
beforeEach(async () => {
  key = newId('sub').replace('_', '-');
  receiver = await startWebhookReceiver(() => subscriptionSecret(agentRoot, key, 1));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await receiver.close();
});

async function subscribe(given: { url?: string; allowPrivateNetwork?: boolean; timeoutMs?: number } = {}) {
  const { url = `${receiver.url}/very-secret-path`, allowPrivateNetwork = true, timeoutMs = 5_000 } = given;
  const sealedUrl = secretBox.seal(url, sealContext(key));
  await createSubscription(database.db, {
    ...{ key, description: '', handler: 'webhook', strategy: 'broadcast', consumers: 1, deadlineMs: null },
    ...{ config: { origin: new URL(url).origin, sealedUrl, allowPrivateNetwork, timeoutMs } },
    ...{ match: { types: [], minSeverity: 'info', excludeSourceTypes: [] }, retry: defaultRetry },
    ...{ from: 'now', actor: 'test', opKey: newId('op') },
  });
}

function aDelivery(given: Partial<Delivery> = {}): Delivery {
  return {
    event: aLoggedEvent({ payload: { order: 7 }, path: ['wormhole:w1', 'cluster:ü'] }),
    part: '',
    attempt: 1,
    replay: null,
    ...given,
  };
}

const context = (signal = new AbortController().signal) => ({ subscription: key, config: {}, signal });
const handler = () => createWebhookHandler({ database, agentRoot, secretBox });
const deliver = (deliveries: Delivery[]) => handler().deliver(deliveries, context());

describe('an event that goes out', () => {
  test('is signed as the standard says, with its envelope in the headers', async () => {
    await subscribe();
    const delivery = aDelivery();
    expect(await deliver([delivery])).toEqual({ failures: [], later: [] });
    const [got] = receiver.received;
    if (got === undefined) throw new Error('nothing was received');
    const { event } = delivery;
    expect(verified(subscriptionSecret(agentRoot, key, 1), got)).toEqual({
      ...{ id: event.id, type: event.type, category: 'shop', source: { type: 'api', id: 'shop' } },
      ...{ destination: null, severity: 'info', priority: 'normal', payload: { order: 7 }, metadata: {} },
      ...{
        correlationId: null,
        causationId: null,
        path: event.path,
        occurredAt: event.occurredAt,
        recordedAt: event.recordedAt,
      },
      ...{ subscription: key, attempt: 1 },
    });
    expect(got.path).toBe('/very-secret-path');
    expect(got.headers).toMatchObject({
      'webhook-id': deliveryId({ subscription: key, eventId: event.id }),
      'x-dreamnet-subscription': key,
      'x-dreamnet-event-type': event.type,
      'x-dreamnet-attempt': '1',
      'x-dreamnet-hops': '2',
      'x-dreamnet-path': 'wormhole%3Aw1,cluster%3A%C3%BC',
    });
    expect(() => verified(subscriptionSecret(agentRoot, key, 2), got)).toThrow();
  });

  test('keeps its webhook-id over all attempts; a replay has another and says so', async () => {
    await subscribe();
    const first = aDelivery();
    await deliver([first]);
    await deliver([{ ...first, attempt: 2 }]);
    await deliver([{ ...first, replay: { id: 'rpl_1', sideEffects: true } }]);
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
    const bodies = receiver.received.map(
      ({ body }) => JSON.parse(body) as { attempt: number; replayOf?: string },
    );
    expect(bodies.map(({ attempt, replayOf }) => [attempt, replayOf])).toEqual([
      [1, undefined],
      [2, undefined],
      [1, 'rpl_1'],
    ]);
  });

  test('carries two signatures while a rotation overlaps, and one afterwards', async () => {
    await subscribe();
    const rotate = (fromVersion: number, overlapMs: number) =>
      rotateSubscriptionSecret(database.db, {
        key,
        actor: 'test',
        opKey: newId('op'),
        fromVersion,
        overlapMs,
      });
    await rotate(1, 60_000);
    expect((await deliver([aDelivery()])).failures).toEqual([]);
    const [during] = receiver.received;
    if (during === undefined) throw new Error('nothing was received');
    for (const version of [1, 2])
      expect(verified(subscriptionSecret(agentRoot, key, version), during)).toBeTruthy();
    await rotate(2, 0);
    // The receiver knows the first secret only.
    expect((await deliver([aDelivery()])).failures).toMatchObject([
      { isFinal: true, error: 'It answered 401.' },
    ]);
  });
});

describe('an answer', () => {
  test.each<[string, Parameters<typeof answer>, object]>([
    ['500 may pass', [500], { cause: 'HANDLER_FAILED', error: 'It answered 500.', isFinal: false }],
    ['408 may pass', [408], { isFinal: false }],
    ['425 may pass', [425], { isFinal: false }],
    [
      '429 may pass, and its wait is told',
      [429, { 'retry-after': '7' }],
      { isFinal: false, error: expect.stringContaining('Retry-After: 7') },
    ],
    ['404 is final', [404], { cause: 'REFUSED', isFinal: true }],
    ['410 is final', [410], { cause: 'REFUSED', isFinal: true }],
    [
      '302 is final and not followed',
      [302, { location: 'http://127.0.0.1:1/' }],
      { cause: 'REFUSED', isFinal: true },
    ],
  ])('%s', async (_, said, failure) => {
    await subscribe();
    receiver.next.push(answer(...said));
    const delivery = aDelivery();
    const report = await deliver([delivery]);
    expect(report.failures).toMatchObject([{ eventId: delivery.event.id, part: '', ...failure }]);
    expect(receiver.received).toHaveLength(1);
  });

  test('that fails for one event leaves the others delivered', async () => {
    await subscribe();
    receiver.next.push(answer(503));
    const deliveries = Array.from({ length: 20 }, () => aDelivery());
    const { failures } = await deliver(deliveries);
    expect(failures).toHaveLength(1);
    expect(receiver.received).toHaveLength(20);
  });

  test('that never comes is a time-out', async () => {
    await subscribe({ timeoutMs: 100 });
    receiver.next.push(silence);
    const { failures } = await deliver([aDelivery()]);
    expect(failures).toMatchObject([
      { cause: 'UNREACHABLE', isFinal: false, error: expect.stringContaining('timed out') },
    ]);
  });

  test('without end is cut, and its status counts (TRUST 4.43)', async () => {
    await subscribe();
    receiver.next.push((response) => {
      response.writeHead(200);
      const more = (): void =>
        void (response.destroyed || response.write('x'.repeat(64 * 1024), () => setImmediate(more)));
      more();
    });
    expect((await deliver([aDelivery()])).failures).toEqual([]);
  });
});

describe('an endpoint that is not reached', () => {
  test('is not hammered: after some deliveries the rest is reported as not tried', async () => {
    await receiver.close();
    await subscribe();
    const { failures } = await deliver(Array.from({ length: 50 }, () => aDelivery()));
    expect(failures).toHaveLength(50);
    expect(new Set(failures.map(({ cause }) => cause))).toEqual(new Set(['UNREACHABLE']));
    const tried = failures.filter(({ error }) => error.includes('ECONNREFUSED'));
    const untried = failures.filter(({ error }) => error.includes('was not tried'));
    expect(tried.length + untried.length).toBe(50);
    expect(tried.length).toBeLessThan(20);
    // What people read of it names the endpoint and not its address.
    expect(JSON.stringify(failures)).not.toContain('very-secret-path');
    expect(failures.every(({ isFinal }) => isFinal !== true)).toBe(true);
    receiver = await startWebhookReceiver(() => '');
  });

  test('that comes back gets the rest of the batch', async () => {
    await subscribe();
    receiver.next.push(
      ...Array.from({ length: 6 }, () => (response: { destroy(): unknown }) => void response.destroy()),
    );
    const { failures } = await deliver(Array.from({ length: 30 }, () => aDelivery()));
    expect(failures.length).toBe(6);
    expect(receiver.received).toHaveLength(30);
  });
});

describe('the guard', () => {
  test.each(['http://127.0.0.1:1/', 'http://[::1]:1/', 'http://169.254.169.254/latest', 'http://0x7f.1/'])(
    '%s is refused for good',
    async (url) => {
      await subscribe({ url, allowPrivateNetwork: false });
      const { failures } = await deliver([aDelivery()]);
      expect(failures).toMatchObject([
        { cause: 'REFUSED', isFinal: true, error: expect.stringContaining('not a public address') },
      ]);
    },
  );

  test('a name that turns to a private address is refused at the connection (TRUST 4.41)', async () => {
    let connections = 0;
    const inside = createServer(() => undefined).on('connection', () => (connections += 1));
    await new Promise<void>((resolve) => inside.listen(0, '127.0.0.1', resolve));
    const { port } = inside.address() as AddressInfo;
    const lookup = vi.spyOn(dns, 'lookup') as unknown as { mockImplementation(by: unknown): void };
    lookup.mockImplementation(
      (_name: string, _options: unknown, done: (error: null, found: object[]) => void) =>
        done(null, [{ address: '127.0.0.1', family: 4 }]),
    );
    await subscribe({ url: `http://rebinding.example:${port}/`, allowPrivateNetwork: false });
    const { failures } = await deliver([aDelivery()]);
    expect(failures).toMatchObject([{ cause: 'REFUSED', isFinal: true }]);
    expect(connections).toBe(0);
    inside.close();
  });
});

describe('a kill switch', () => {
  test.each([['kind:delivery'], ['all'], ['own']])(
    'over %s holds deliveries back; none counts as tried',
    async (said) => {
      await subscribe();
      const scope = said === 'own' ? `target:subscription:${key}` : said;
      await engageSwitch(database.db, {
        scope,
        level: 'observe',
        reason: 'fire',
        actor: 'test',
        opKey: newId('op'),
      });
      await expect(deliver([aDelivery()])).rejects.toThrow(Unavailable);
      expect(receiver.received).toEqual([]);
      await releaseSwitch(database.db, {
        scope,
        reason: 'out',
        perMinute: 600,
        actor: 'test',
        opKey: newId('op'),
      });
      expect((await deliver([aDelivery()])).failures).toEqual([]);
    },
  );

  test('that falls during a batch stops it; after the release every event is sent, under the id it had', async () => {
    await subscribe();
    const scope = `target:subscription:${key}`;
    receiver.next.push((response) => {
      void engageSwitch(database.db, {
        scope,
        level: 'observe',
        reason: 'fire',
        actor: 'test',
        opKey: newId('op'),
      }).then(() => setTimeout(() => response.writeHead(204).end(), 1_100));
    });
    for (let count = 1; count < 8; count += 1)
      receiver.next.push((response) => void setTimeout(() => response.writeHead(204).end(), 1_500));
    const deliveries = Array.from({ length: 40 }, () => aDelivery());
    await expect(deliver(deliveries)).rejects.toThrow(Unavailable);
    const before = receiver.received.length;
    expect(before).toBeLessThan(40);
    await releaseSwitch(database.db, {
      ...{ scope, reason: 'out', perMinute: 600, actor: 'test', opKey: newId('op') },
    });
    expect((await deliver(deliveries)).failures).toEqual([]);
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect(ids).toHaveLength(before + 40);
    expect(new Set(ids).size).toBe(40);
  });
});

describe('the handler', () => {
  test('does nothing when its turn is over', async () => {
    await subscribe();
    await expect(handler().deliver([aDelivery()], context(AbortSignal.abort()))).rejects.toThrow();
    expect(receiver.received).toEqual([]);
  });

  test('says what it would send, and sends nothing', async () => {
    await subscribe();
    const delivery = aDelivery();
    const [preview] = await handler().preview([delivery], context());
    expect(preview).toMatchObject({
      eventId: delivery.event.id,
      would: `POST to ${receiver.url}, signed`,
      detail: {
        origin: receiver.url,
        webhookId: deliveryId({ subscription: key, eventId: delivery.event.id }),
      },
    });
    expect(JSON.stringify(preview)).not.toContain('very-secret-path');
    expect(receiver.received).toEqual([]);
  });

  test('that cannot ask the record tries nothing', async () => {
    await subscribe();
    const away = createWebhookHandler({ database: { ...database, db: null as never }, agentRoot, secretBox });
    await expect(away.deliver([aDelivery()], context())).rejects.toThrow(Unavailable);
  });
});
