import { beforeAll, describe, expect, test } from 'vitest';
import { deliveryId } from '../../db/deliveries.ts';
import { appendEvents } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import { eventInputSchema } from '../../domain/events.ts';
import { createTestApi, keysOf, type TestApi, type Untyped } from '../support/api.ts';
import { eventually } from './eventually.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let api: TestApi;
let keys: Record<keyof People, string>;

beforeAll(async () => {
  database = await openTestDatabase();
  keys = await keysOf(database, await createPeople(database));
  api = createTestApi(database);
});

async function aSubscription(given: object = {}): Promise<string> {
  const key = newId('sub').replace('_', '-');
  const body = { key, handler: { kind: 'webhook', url: 'https://example.com/x' }, ...given };
  const made = await api.call('POST', '/v1/subscriptions', { as: keys.admin, body });
  expect(made.status).toBe(201);
  return key;
}

async function anEvent(type: string, given: object = {}): Promise<{ id: string; recordedAt: string }> {
  const input = eventInputSchema.parse({ type, source: { type: 'api', id: 'shop' }, ...given });
  const [stored] = await appendEvents(database.log, [input]);
  const { body } = await api.call('GET', `/v1/events/${stored?.id}`, { as: keys.viewer });
  return { id: body.id, recordedAt: body.recordedAt };
}

async function envelopes(id: string, query = '?limit=200'): Promise<Untyped[]> {
  const { status, body } = await api.call('GET', `/v1/events/${id}/deliveries${query}`, { as: keys.viewer });
  expect(status).toBe(200);
  return body.items;
}

async function pass(key: string, eventId: string, lane?: string): Promise<void> {
  await database.root`
    update subscription_lanes l set cursor_tx = e.tx, cursor_seq = e.seq from events e
    where e.id = ${eventId} and l.subscription = ${key} and (${lane ?? null}::text is null or l.lane = ${lane ?? null})`;
}

type Given = {
  state: string;
  attempts: number;
  lastError?: string;
  replayId?: string;
  sideEffects?: boolean;
};

async function aDelivery(
  key: string,
  event: { id: string; recordedAt: string },
  given: Given,
): Promise<string> {
  const { state, attempts, lastError = null, replayId = null, sideEffects = true } = given;
  const id = deliveryId({ subscription: key, eventId: event.id, replayId });
  await database.root`
    insert into deliveries
      (id, subscription, event_id, event_recorded_at, replay_id, state, attempts, last_error, side_effects, due_at)
    values (${id}, ${key}, ${event.id}, ${event.recordedAt}, ${replayId}, ${state}, ${attempts}, ${lastError},
            ${sideEffects}, now())`;
  return id;
}

const stateOf = ({ subscription, processing }: Untyped) => [subscription, processing.state];

describe('the envelope of an event', () => {
  test('waits in front of the cursor, and is completed behind it', async () => {
    const type = `env.${newId('t').replace('_', '-')}`;
    const key = await aSubscription({ match: { types: [type] }, deadlineMs: 60_000 });
    const event = await anEvent(type);
    await database.root`update events set path = '["wormhole:w1", "cluster:c2"]' where id = ${event.id}`;
    const [waiting] = await envelopes(event.id);
    expect(waiting).toEqual({
      subscription: key,
      part: '',
      routing: {
        ...{ path: ['wormhole:w1', 'cluster:c2'], hops: 2, strategy: 'broadcast', lane: 'all' },
        routedAt: event.recordedAt,
      },
      processing: {
        ...{ state: 'pending', attempts: 0, dueAt: null, endedAt: null, lastError: null, deadLetterId: null },
        deadline: new Date(Date.parse(event.recordedAt) + 60_000).toISOString(),
      },
      metadata: { deliveryId: null, replayId: null, sideEffects: true },
      previews: null,
    });
    await pass(key, event.id);
    expect(await envelopes(event.id)).toMatchObject([{ processing: { state: 'completed', attempts: 1 } }]);
  });

  test('is only for those whom it is routed to', async () => {
    const type = `env.${newId('t').replace('_', '-')}`;
    const match = { types: [type] };
    const direct = await aSubscription({ strategy: 'direct', match: { ...match, destination: 'squad-1' } });
    await aSubscription({ strategy: 'direct', match: { ...match, destination: 'squad-2' } });
    await aSubscription({ match: { ...match, minSeverity: 'critical' } });
    await aSubscription({ match: { ...match, excludeSourceTypes: ['api'] } });
    const removed = await aSubscription({ match });
    await api.call('DELETE', `/v1/subscriptions/${removed}`, { as: keys.admin });
    const { id } = await anEvent(type, { destination: 'squad-1' });
    // A subscription from now begins at the horizon, which other test files may hold back.
    await eventually(
      () =>
        database.root`select from events where id = ${id} and tx < pg_snapshot_xmin(pg_current_snapshot())`,
    ).toHaveLength(1);
    await aSubscription({ match });
    const fromStart = await aSubscription({ match, from: 'start' });
    expect((await envelopes(id)).map(stateOf).sort()).toEqual(
      [
        [direct, 'pending'],
        [fromStart, 'pending'],
      ].sort(),
    );
  });

  test('is in the lane of its priority, or of its share', async () => {
    const type = `env.${newId('t').replace('_', '-')}`;
    const match = { types: [type] };
    const byPriority = await aSubscription({ match, strategy: 'priority' });
    const shared = await aSubscription({ match, strategy: 'balanced', consumers: 4 });
    const { id } = await anEvent(type, { severity: 'critical' });
    await pass(byPriority, id, 'normal');
    const found = await envelopes(id);
    const lane = (key: string) => found.find(({ subscription }) => subscription === key)?.routing.lane;
    expect(lane(byPriority)).toBe('critical');
    expect(['0', '1', '2', '3']).toContain(lane(shared));
    expect(found.map(({ processing }) => processing.state)).toEqual(['pending', 'pending']);
    await pass(byPriority, id, 'critical');
    await pass(shared, id, lane(shared));
    expect((await envelopes(id)).map(({ processing }) => processing.state)).toEqual([
      'completed',
      'completed',
    ]);
  });

  test('says of a delivery of its own how often it was tried and why it failed, and of a replay what it would do', async () => {
    const type = `env.${newId('t').replace('_', '-')}`;
    const key = await aSubscription({ match: { types: [type] } });
    const event = await anEvent(type);
    await pass(key, event.id);
    const failed = await aDelivery(key, event, {
      state: 'failed',
      attempts: 5,
      lastError: 'It answered 500.',
    });
    const letter = newId('ded');
    await database.root`
      insert into dead_letters (id, delivery_id, subscription, event_id, event_type, event, cause, error, history, attempts)
      values (${letter}, ${failed}, ${key}, ${event.id}, ${type}, '{}', 'HANDLER_FAILED', 'It answered 500.', '[]', 5)`;
    await aDelivery(key, event, { state: 'completed', replayId: 'rpl_1', sideEffects: false, attempts: 1 });
    const found = await envelopes(event.id);
    expect(found).toHaveLength(2);
    const own = found.find(({ metadata }) => metadata.replayId === null);
    expect(own).toMatchObject({
      processing: { state: 'failed', attempts: 5, lastError: 'It answered 500.', deadLetterId: letter },
      metadata: { deliveryId: failed },
    });
    expect(found.find(({ metadata }) => metadata.replayId === 'rpl_1')).toMatchObject({
      processing: { state: 'completed', deadLetterId: null },
      metadata: { sideEffects: false },
    });
  });

  test('of an event nobody knows is a 404; the list goes on page after page', async () => {
    const unknown = await api.call('GET', '/v1/events/evt_unknown/deliveries', { as: keys.viewer });
    expect(unknown.status).toBe(404);
    const type = `env.${newId('t').replace('_', '-')}`;
    const made = [
      await aSubscription({ match: { types: [type] } }),
      await aSubscription({ match: { types: [type] } }),
    ];
    const { id } = await anEvent(type);
    const found: string[] = [];
    let cursor = '';
    do {
      const path = `/v1/events/${id}/deliveries?limit=1${cursor}`;
      const { body } = await api.call('GET', path, { as: keys.viewer });
      found.push(...body.items.map(({ subscription }: Untyped) => subscription));
      cursor = body.nextCursor === null ? '' : `&cursor=${body.nextCursor}`;
    } while (cursor !== '');
    expect(found).toEqual(made.sort());
  });
});
