import { beforeAll, describe, expect, test } from 'vitest';
import { isUnavailable, Unavailable } from '../../activities/event-handlers.ts';
import { createChannel } from '../../db/channels.ts';
import { newId } from '../../db/ids.ts';
import type { Delivery } from '../../domain/delivery.ts';
import { createHandlers } from '../../workers/handlers.ts';
import { createPeople, openTestDatabase, type TestDatabase } from '../support/database.ts';
import { aLoggedEvent } from '../support/events.ts';

let database: TestDatabase;
let admin = '';

beforeAll(async () => {
  database = await openTestDatabase();
  ({ admin } = await createPeople(database));
});

const log = { warn: () => undefined } as never;
const context = (subscription: string) => ({
  subscription,
  config: {},
  signal: new AbortController().signal,
});
const deliveryOf = (event: Delivery['event']): Delivery => ({ event, part: '', attempt: 1, replay: null });

function handlers(runs: Partial<Parameters<typeof createHandlers>[0]['runs']> = {}) {
  return createHandlers({
    ...{
      database,
      client: { options: { namespace: 'default' } } as never,
      agentRoot: 'root',
      secretBox: {} as never,
    },
    runs: {
      triggerHalo: () => Promise.resolve(),
      startNotification: () => Promise.resolve(),
      startTask: () => Promise.resolve(),
      ...runs,
    },
    baseUrl: 'http://x',
    log,
  });
}

describe('an outage', () => {
  test.each([
    ['what says so itself', new Unavailable('away')],
    ['a session that was ended', Object.assign(new Error('x'), { code: '57P01' })],
    [
      'a lost connection, however deep',
      new Error('q', { cause: Object.assign(new Error('y'), { code: 'CONNECTION_CLOSED' }) }),
    ],
    ['a refused connection', Object.assign(new Error('x'), { code: 'ECONNREFUSED' })],
  ])('is %s', (_what, error) => {
    expect(isUnavailable(error)).toBe(true);
  });

  test.each([
    ['a broken rule of a table', Object.assign(new Error('x'), { code: '23505' })],
    ['a statement that took too long', Object.assign(new Error('x'), { code: '57014' })],
    ['any other error', new Error('x')],
    ['what is no error', 'ECONNREFUSED'],
  ])('is not %s', (_what, error) => {
    expect(isUnavailable(error)).toBe(false);
  });
});

describe('the handler of HALO', () => {
  test('is unavailable while Temporal is away, so that no event is to blame', async () => {
    const handler = handlers({ triggerHalo: () => Promise.reject(new Error('14 UNAVAILABLE')) })[
      'halo.trigger'
    ];
    const deliver = handler?.deliver([deliveryOf(aLoggedEvent())], context('halo'));
    await expect(deliver).rejects.toBeInstanceOf(Unavailable);
  });

  test('says how urgent a cycle would be, and triggers none', async () => {
    let triggered = 0;
    const handler = handlers({
      triggerHalo: () => {
        triggered += 1;
        return Promise.resolve();
      },
    })['halo.trigger'];
    const deliveries = (['error', 'critical'] as const).map((severity) =>
      deliveryOf(aLoggedEvent({ severity })),
    );
    const previews = await handler?.preview(deliveries, context('halo'));
    expect(previews?.map(({ detail }) => detail)).toEqual([
      { urgent: false, mode: 'full' },
      { urgent: true, mode: 'full' },
    ]);
    expect(triggered).toBe(0);
  });
});

describe('the handler of the notifications', () => {
  test('says who would be told, and writes nothing', async () => {
    const name = newId('chn');
    await createChannel(database.db, {
      ...{ id: name, name, kind: 'webhook', sealed: null, topics: ['shop.*'], minSeverity: 'error' },
      config: { origin: 'https://hooks.test', allowPrivateNetwork: false },
      ...{ cooldownMs: 0, actor: admin, opKey: newId('op') },
    });
    const events = (['error', 'info'] as const).map((severity) => aLoggedEvent({ severity }));
    const handler = handlers()['notify.queue'];
    const previews = await handler?.preview(events.map(deliveryOf), context('notify'));
    expect(previews?.map(({ would }) => would)).toEqual([`tell ${name}`, 'tell nobody']);
    expect(await database.root`select from notifications`).toHaveLength(0);
    await handler?.deliver(events.map(deliveryOf), context('notify'));
    expect(await database.root`select from notifications`).toHaveLength(1);
  });
});
