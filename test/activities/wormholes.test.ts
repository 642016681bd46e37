import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Unavailable } from '../../activities/event-handlers.ts';
import { createWormholesHandler } from '../../activities/wormholes.ts';
import { deliveryId } from '../../db/deliveries.ts';
import { getEvent } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import { engageSwitch, releaseSwitch } from '../../db/kill-switch.ts';
import { createSecretBox } from '../../db/sealed.ts';
import { wormholeSecret } from '../../db/signing-secret.ts';
import { deleteOldResults, emittedId, listResults } from '../../db/wormhole-results.ts';
import {
  changeWormhole,
  disableWormhole,
  enableWormhole,
  ensureWormholePresets,
  findWormhole,
  type NewWormhole,
  type WormholeRow,
} from '../../db/wormholes.ts';
import type { Delivery } from '../../domain/delivery.ts';
import type { LoggedEvent } from '../../domain/events.ts';
import { forwardSealContext, type TaskSpec, type WormholeAction } from '../../domain/wormhole.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aLoggedEvent } from '../support/events.ts';
import { answer, type Receiver, startWebhookReceiver, verified } from '../support/receivers.ts';
import { aDelivery, aRecordedEvent, aWormhole } from '../support/wormholes.ts';

const agentRoot = 'an agent root that only tests use, long enough';
const secretBox = createSecretBox('a secret box key that only tests use, long enough');
const nothing = { failures: [], later: [] };

let database: TestDatabase;
let people: People;
let receiver: Receiver;
let expected = '';
let triggered: LoggedEvent[][] = [];
let started: string[] = [];
let temporalIsAway = false;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  receiver = await startWebhookReceiver(() => expected);
});
afterAll(() => receiver.close());
beforeEach(async () => {
  await database.root`update wormholes set enabled = false`;
  triggered = [];
  started = [];
  temporalIsAway = false;
});

const away = () => Promise.reject(new Error('Temporal is away'));
const handler = () =>
  createWormholesHandler({
    ...{ database, agentRoot, secretBox, log: { warn: () => undefined } },
    runs: {
      triggerHalo: (events) => (temporalIsAway ? away() : Promise.resolve(void triggered.push(events))),
      startTask: ({ id }) => (temporalIsAway ? away() : Promise.resolve(void started.push(id))),
    },
  });

const deliverUntil = (signal: AbortSignal, ...deliveries: Delivery[]) =>
  handler().deliver(deliveries, { subscription: 'wormholes', config: {}, signal });
const deliver = (...deliveries: Delivery[]) => deliverUntil(new AbortController().signal, ...deliveries);

const make = (action: WormholeAction, given: Partial<NewWormhole> = {}) =>
  aWormhole(database, people.admin, action, given);

const eventFor = (row: WormholeRow, given: Partial<LoggedEvent> = {}) =>
  aLoggedEvent({ type: `shop.${row.id}`, ...given });

async function resultsOf(row: WormholeRow) {
  const results = await listResults(database.db, { wormhole: row.id, before: null, limit: 2000 });
  return results.map(({ eventId, outcome, detail }) => ({ eventId, outcome, ...detail }));
}

async function countOf(row: WormholeRow, outcome: string): Promise<number> {
  return (await resultsOf(row)).filter((result) => result.outcome === outcome).length;
}

const repair: TaskSpec = {
  type: 'repair.shop',
  title: 'Repair {{payload.shop}}',
  target: 'shop:{{payload.shop}}',
  targetRole: 'DeployKeeper',
  risk: 'medium',
  payload: { why: '{{type}}', order: '{{payload.order}}', total: '{{payload.total}}' },
};

async function tasksOf(row: WormholeRow) {
  return database.root<
    Record<string, unknown>[]
  >`select * from tasks where origin_id = ${row.id} order by created_at`;
}

describe('what is delivered twice happens once', () => {
  test('log keeps one result', async () => {
    const row = await make({ kind: 'log' });
    const event = eventFor(row);
    for (let time = 0; time < 2; time += 1) expect(await deliver(aDelivery(event))).toEqual(nothing);
    expect(await resultsOf(row)).toMatchObject([{ eventId: event.id, outcome: 'acted', action: 'log' }]);
  });

  test('notify writes one event that channels can ask for, in words of the template', async () => {
    const row = await make({
      kind: 'notify',
      title: 'Order {{payload.order}} failed',
      text: '{{payload.why}}',
    });
    const event = eventFor(row, {
      severity: 'error',
      payload: { order: 7, why: 'no stock' },
      correlationId: 'c',
    });
    await Promise.all([deliver(aDelivery(event)), deliver(aDelivery(event))]);
    await deliver(aDelivery(event));
    const emitted = await database.root`select * from events where type = ${`wormhole.${row.name}`}`;
    expect(emitted).toMatchObject([
      {
        severity: 'error',
        causation_id: event.id,
        correlation_id: 'c',
        path: [row.id],
        payload: { title: 'Order 7 failed', text: 'no stock', eventId: event.id },
      },
    ]);
  });

  test('transform writes one event of the mapping, caused by the first, with the way it came', async () => {
    const payload = {
      id: '{{payload.order.id}}',
      tags: ['{{/payload/order/tags/0}}', 'x'],
      text: 'is {{severity}}',
      none: '{{payload.no}}',
    };
    const row = await make({
      kind: 'transform',
      emit: {
        type: 'billing.order',
        severity: 'critical',
        destination: 'billing-{{payload.order.id}}',
        payload,
      },
    });
    const event = eventFor(row, {
      ...{ severity: 'warning', correlationId: 'thread-1', path: ['whl_before'] },
      payload: { order: { id: 5, tags: ['a', 'b'] } },
    });
    for (let time = 0; time < 2; time += 1) await deliver(aDelivery(event));
    const id = emittedId({ wormhole: row.id, eventId: event.id, replay: '' });
    expect(await getEvent(database.db, id)).toMatchObject({
      ...{ type: 'billing.order', sourceType: 'system', sourceId: `wormhole:${row.name}` },
      ...{ severity: 'critical', priority: 'critical', destination: 'billing-5' },
      payload: { id: 5, tags: ['a', 'x'], text: 'is warning' },
      ...{ correlationId: 'thread-1', causationId: event.id, path: ['whl_before', row.id] },
    });
    const [{ count } = {}] =
      await database.root`select count(*)::int from events where causation_id = ${event.id}`;
    expect(count).toBe(1);
  });

  test('create-task proposes one task of its author, and starts its run', async () => {
    const row = await make({ kind: 'create-task', task: repair });
    const event = eventFor(row, {
      severity: 'critical',
      payload: { shop: 'berlin', order: { id: 1 }, total: 2.5 },
    });
    await Promise.all([deliver(aDelivery(event)), deliver(aDelivery(event))]);
    await deliver(aDelivery(event));
    const tasks = await tasksOf(row);
    expect(tasks).toMatchObject([
      {
        ...{ type: 'repair.shop', title: 'Repair berlin', target: 'shop:berlin', state: 'pending-approval' },
        ...{ origin: 'wormhole', requested_by: people.admin, severity: 'critical', dispatch_mode: 'manual' },
        payload: { why: event.type, order: { id: 1 }, total: 2.5 },
        ...{ evidence: [event.id], evidence_count: 1, folded: 0 },
      },
    ]);
    expect(new Set(started)).toEqual(new Set([tasks[0]?.id]));
    const [approval] =
      await database.root`select requested_by_person from approvals where subject_id = ${String(tasks[0]?.id)}`;
    expect(approval?.requested_by_person).toBe(people.admin);
  });

  test('trigger-halo asks HALO once', async () => {
    const row = await make({ kind: 'trigger-halo' });
    const events = [eventFor(row), eventFor(row)];
    for (let time = 0; time < 2; time += 1) await deliver(...events.map((event) => aDelivery(event)));
    expect(triggered).toEqual([events]);
  });

  test('a forward to a subscription queues one delivery there', async () => {
    const key = newId('sub');
    await database.root`
      insert into subscriptions (key, handler, match, owner) values
        (${key}, 'webhook', '{"types":[],"minSeverity":"info","excludeSourceTypes":[]}', ${people.admin})`;
    const row = await make({ kind: 'forward', to: { kind: 'subscription', subscription: key } });
    const event = await aRecordedEvent(database, { type: `shop.${row.id}` });
    for (let time = 0; time < 2; time += 1) expect(await deliver(aDelivery(event))).toEqual(nothing);
    const queued =
      await database.root`select event_id, state, part from deliveries where subscription = ${key}`;
    expect(queued).toEqual([{ event_id: event.id, state: 'pending', part: '' }]);

    // A receiver is told the id that is made of the row's replay: without that it takes the second for a repetition.
    const replay = { id: newId('rpl'), sideEffects: true };
    for (let time = 0; time < 2; time += 1) await deliver(aDelivery(event, { replay }));
    const rows = await database.root`
      select id, replay_id, side_effects from deliveries where subscription = ${key} order by replay_id nulls first`;
    expect(rows).toEqual(
      [null, replay.id].map((replayId) => ({
        id: deliveryId({ subscription: key, eventId: event.id, replayId }),
        ...{ replay_id: replayId, side_effects: true },
      })),
    );
  });

  test('a replay with side effects is an occasion of its own, and happens once too', async () => {
    const row = await make({ kind: 'transform', emit: { type: 'billing.again' } });
    const event = eventFor(row);
    const replay = { id: 'rpl_1', sideEffects: true };
    await deliver(aDelivery(event));
    for (let time = 0; time < 2; time += 1) await deliver(aDelivery(event, { replay }));
    expect(await countOf(row, 'acted')).toBe(2);
  });
});

describe('counting', () => {
  const counting = (given: object = {}): WormholeAction => ({
    kind: 'aggregate',
    ...{ count: 3, windowSeconds: 60, key: 'payload.shop' },
    emit: { type: 'shop.many-failures', severity: 'critical' },
    ...given,
  });
  const at = (second: number) => new Date(Date.UTC(2026, 0, 1) + second * 1000).toISOString();
  const emittedOf = (row: WormholeRow) =>
    database.root<{ payload: Record<string, unknown>; causation_id: string }[]>`
      select payload, causation_id from events where source_id = ${`wormhole:${row.name}`} order by seq`;

  test('the event that makes the count emits one event for the window of its key', async () => {
    const row = await make(counting());
    const events = Array.from({ length: 5 }, (_, n) =>
      eventFor(row, { payload: { shop: 'a' }, recordedAt: at(n) }),
    );
    const other = eventFor(row, { payload: { shop: 'b' }, recordedAt: at(1) });
    for (const event of [...events, other]) await deliver(aDelivery(event));
    const emitted = await emittedOf(row);
    expect(emitted).toMatchObject([
      {
        causation_id: events[2]?.id,
        payload: {
          ...{ count: 3, key: 'a', windowSeconds: 60 },
          first: { id: events[0]?.id },
          last: { id: events[2]?.id },
          eventIds: events.slice(0, 3).map(({ id }) => id),
        },
      },
    ]);
  });

  test('a batch counts as one event after the other does, and twice the same batch as once', async () => {
    const row = await make(counting());
    const events = Array.from({ length: 7 }, (_, n) =>
      eventFor(row, { payload: { shop: 'a' }, recordedAt: at(n * 25) }),
    );
    const batch = events.map((event) => aDelivery(event));
    await Promise.all([deliver(...batch), deliver(...batch)]);
    // A worker that starts again has forgotten everything but the record.
    await deliver(...batch);
    // 0, 25, 50 fill the first window; 75, 100, 125 the next.
    expect((await emittedOf(row)).map(({ causation_id: id }) => id)).toEqual([events[2]?.id, events[5]?.id]);
    expect(await resultsOf(row)).toHaveLength(7);
  });

  test('events that come too slowly emit nothing', async () => {
    const row = await make(counting());
    for (let n = 0; n < 6; n += 1)
      await deliver(aDelivery(eventFor(row, { payload: { shop: 'a' }, recordedAt: at(n * 40) })));
    expect(await emittedOf(row)).toEqual([]);
  });

  test('a changed wormhole begins to count anew', async () => {
    const row = await make(counting());
    for (const n of [0, 1])
      await deliver(aDelivery(eventFor(row, { payload: { shop: 'a' }, recordedAt: at(n) })));
    await database.root`update wormholes set version = 2 where id = ${row.id}`;
    await deliver(aDelivery(eventFor(row, { payload: { shop: 'a' }, recordedAt: at(2) })));
    expect(await emittedOf(row)).toEqual([]);
  });

  test('what is counted of HALO stays of HALO', async () => {
    const row = await make(counting({ count: 2 }));
    await deliver(aDelivery(eventFor(row, { recordedAt: at(0), sourceType: 'halo' })));
    await deliver(aDelivery(eventFor(row, { recordedAt: at(1) })));
    const [emitted] =
      await database.root`select source_type from events where source_id = ${`wormhole:${row.name}`}`;
    expect(emitted?.source_type).toBe('halo');
  });
});

describe('forwarding to an address', () => {
  async function aForward() {
    const id = newId('whl');
    const to = { kind: 'webhook', origin: receiver.url, allowPrivateNetwork: true } as const;
    const sealed = secretBox.seal(`${receiver.url}/in/secret-path`, forwardSealContext(id));
    const row = await make({ kind: 'forward', to }, { id, sealed });
    expected = wormholeSecret(agentRoot, id, 1);
    receiver.received.length = 0;
    return row;
  }

  test('the event is put off, then posted with a signature, once', async () => {
    const row = await aForward();
    const event = eventFor(row, { payload: { order: 7 } });
    const later = [{ eventId: event.id, part: row.id }];
    expect(await deliver(aDelivery(event))).toEqual({ failures: [], later });
    expect(receiver.received).toEqual([]);
    for (let time = 0; time < 2; time += 1)
      expect(await deliver(aDelivery(event, { part: row.id }))).toEqual(nothing);
    expect(receiver.received).toHaveLength(1);
    expect(verified(expected, receiver.received[0]!)).toMatchObject({
      type: event.type,
      data: { id: event.id, payload: { order: 7 }, wormhole: { name: row.name } },
    });
    expect(await deliver(aDelivery(event))).toEqual(nothing);
  });

  test('a receiver that is down is tried again, one that refuses is not, and neither says the address', async () => {
    const row = await aForward();
    const event = eventFor(row);
    receiver.next.push(answer(503, {}, 'secret-path'));
    const down = await deliver(aDelivery(event, { part: row.id }));
    expect(down.failures).toMatchObject([{ eventId: event.id, part: row.id, cause: 'UNREACHABLE' }]);
    expect(down.failures[0]?.isFinal).toBeUndefined();
    receiver.next.push(answer(404));
    expect((await deliver(aDelivery(event, { part: row.id }))).failures).toMatchObject([
      { cause: 'REFUSED', isFinal: true },
    ]);
    expect(await countOf(row, 'failed')).toBe(1);
    await deliver(aDelivery(event, { part: row.id }));
    expect(await countOf(row, 'acted')).toBe(1);
    expect(JSON.stringify([down, await resultsOf(row)])).not.toContain('secret-path');
  });

  test('a turn that ends leaves what was not posted to the next one, with no attempt counted', async () => {
    const row = await aForward();
    const deliveries = Array.from({ length: 20 }, () => aDelivery(eventFor(row), { part: row.id }));
    await expect(deliverUntil(AbortSignal.abort(), ...deliveries)).rejects.toThrow();
    expect([receiver.received.length, await resultsOf(row)]).toEqual([0, []]);
    const turn = new AbortController();
    receiver.next.push(...Array.from({ length: 8 }, () => answer(204)), () => turn.abort());
    await expect(deliverUntil(turn.signal, ...deliveries)).rejects.toThrow();
    expect(await countOf(row, 'failed')).toBe(0);
    expect(await deliver(...deliveries)).toEqual(nothing);
    expect(await countOf(row, 'acted')).toBe(20);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(20);
  });

  test('a kill switch over deliveries holds it back, with no attempt counted', async () => {
    const row = await aForward();
    const event = eventFor(row);
    const by = { reason: 'test', actor: people.admin, scope: 'kind:delivery' };
    await engageSwitch(database.db, { ...by, level: 'approve-only', opKey: newId('op') });
    await expect(deliver(aDelivery(event, { part: row.id }))).rejects.toThrow(Unavailable);
    await releaseSwitch(database.db, { ...by, perMinute: 60, opKey: newId('op') });
    expect(await deliver(aDelivery(event, { part: row.id }))).toEqual(nothing);
    expect(receiver.received).toHaveLength(1);
  });
});

describe('loops and hops', () => {
  test('an event that came through a wormhole is not acted on by it again', async () => {
    const row = await make({ kind: 'log' });
    await deliver(aDelivery(eventFor(row, { path: ['whl_other', row.id] })));
    expect(await resultsOf(row)).toMatchObject([{ outcome: 'folded', why: expect.stringContaining('loop') }]);
  });

  test('two wormholes that feed each other stop after one round', async () => {
    const types = ['ping.a', 'ping.b'] as const;
    const rows = await Promise.all(
      types.map((type, n) =>
        make(
          { kind: 'transform', emit: { type: types[1 - n]! } },
          { match: { types: [type], minSeverity: 'info', excludeSourceTypes: [] } },
        ),
      ),
    );
    let events = [aLoggedEvent({ type: 'ping.a' })];
    for (let round = 0; round < 10 && events.length > 0; round += 1) {
      await deliver(...events.map((event) => aDelivery(event)));
      const caused = await database.root<{ id: string; type: string; path: string[] }[]>`
        select id, type, path from events where causation_id in ${database.root(events.map(({ id }) => id))}`;
      events = caused.map((event) => aLoggedEvent(event));
    }
    expect(events).toEqual([]);
    const outcomes = (await Promise.all(rows.map(resultsOf))).flat().map(({ outcome }) => outcome);
    expect(outcomes.sort()).toEqual(['acted', 'acted', 'folded']);
  });

  test('an event that came through too many wormholes goes no further', async () => {
    const row = await make({ kind: 'transform', emit: { type: 'far.away' } }, { maxHops: 2 });
    const near = eventFor(row, { path: ['a'] });
    await deliver(aDelivery(near), aDelivery(eventFor(row, { path: ['a', 'b'] })));
    expect([await countOf(row, 'acted'), await countOf(row, 'folded')]).toEqual([1, 1]);
  });

  test("HALO's own events never trigger HALO, nor do events that a wormhole makes of them", async () => {
    const halo = await make(
      { kind: 'trigger-halo' },
      { match: { types: [], minSeverity: 'info', excludeSourceTypes: [] } },
    );
    const change = await make({ kind: 'transform', emit: { type: 'agent.error', severity: 'critical' } });
    const event = eventFor(change, { sourceType: 'halo' });
    await deliver(aDelivery(event));
    const emitted = await getEvent(
      database.db,
      emittedId({ wormhole: change.id, eventId: event.id, replay: '' }),
    );
    expect(emitted).toMatchObject({ type: 'agent.error', sourceType: 'halo' });
    await deliver(aDelivery(aLoggedEvent({ type: 'agent.error', sourceType: emitted!.sourceType })));
    expect(triggered).toEqual([]);
    expect(await countOf(halo, 'folded')).toBe(2);
  });

  test('a proposal is not proposed about', async () => {
    const all = { types: [], minSeverity: 'info', excludeSourceTypes: [] } as const;
    const row = await make(
      { kind: 'create-task', task: { ...repair, title: 'x', target: '{{id}}' } },
      { match: { ...all, types: [], excludeSourceTypes: [] } },
    );
    await deliver(
      aDelivery(aLoggedEvent({ type: 'squad.task.created' })),
      aDelivery(aLoggedEvent({ type: 'approval.requested' })),
    );
    expect(await tasksOf(row)).toEqual([]);
  });
});

describe('proposals', () => {
  test('a thousand failures of one cause are one open task with their evidence', async () => {
    const row = await make({ kind: 'create-task', task: repair });
    const events = Array.from({ length: 1000 }, () => eventFor(row, { payload: { shop: 'paris' } }));
    for (let from = 0; from < events.length; from += 250)
      await deliver(...events.slice(from, from + 250).map((event) => aDelivery(event)));
    const tasks = await tasksOf(row);
    expect(tasks).toHaveLength(1);
    expect(tasks[0]).toMatchObject({ target: 'shop:paris', evidence_count: 1000, state: 'pending-approval' });
    expect(tasks[0]?.evidence).toHaveLength(50);
    expect([await countOf(row, 'acted'), await countOf(row, 'folded')]).toEqual([1, 999]);
    for (let from = 0; from < events.length; from += 400)
      await deliver(...events.slice(from, from + 400).map((event) => aDelivery(event)));
    expect((await tasksOf(row))[0]).toMatchObject({ evidence_count: 1000 });
  });

  test('the preset api-failure is there switched off, and proposes to DeployKeeper once an admin enables it', async () => {
    await ensureWormholePresets(database.db);
    await ensureWormholePresets(database.db);
    const preset = await findWormhole(database.db, 'api-failure');
    expect(preset).toMatchObject({ enabled: false, owner: null });
    const failure = aLoggedEvent({
      type: 'api.endpoint.failed',
      severity: 'error',
      sourceId: 'probe-1',
      payload: { status: 500 },
    });
    await deliver(aDelivery(failure));
    expect(await tasksOf(preset!)).toEqual([]);
    await enableWormhole(database.db, {
      id: preset!.id,
      version: 1,
      withoutBackTest: 'test',
      actor: people.admin,
      opKey: newId('op'),
    });
    const failures = Array.from({ length: 1000 }, () => ({ ...failure, id: newId('evt') }));
    for (let from = 0; from < failures.length; from += 500)
      await deliver(...failures.slice(from, from + 500).map((event) => aDelivery(event)));
    expect(await tasksOf(preset!)).toMatchObject([
      {
        ...{
          type: 'wormhole.suggested',
          target_role: 'DeployKeeper',
          target: 'api:probe-1',
          severity: 'high',
        },
        ...{ requested_by: people.admin, evidence_count: 1000, state: 'pending-approval' },
        payload: { reported: { status: 500 } },
      },
    ]);
  });

  test('a kill switch over proposals holds them back until it is released', async () => {
    const row = await make({ kind: 'create-task', task: repair });
    const event = eventFor(row, { payload: { shop: 'rome' } });
    const by = { reason: 'test', actor: people.admin, scope: 'target:shop:rome' };
    await engageSwitch(database.db, { ...by, level: 'observe', opKey: newId('op') });
    expect(await deliver(aDelivery(event))).toEqual({
      failures: [],
      later: [{ eventId: event.id, part: row.id }],
    });
    await expect(deliver(aDelivery(event, { part: row.id }))).rejects.toThrow(Unavailable);
    await releaseSwitch(database.db, { ...by, perMinute: 60, opKey: newId('op') });
    expect(await deliver(aDelivery(event, { part: row.id }))).toEqual(nothing);
    expect(await tasksOf(row)).toHaveLength(1);
  });

  test('nobody proposes through a wormhole what they may not propose themselves', async () => {
    const row = await aWormhole(database, people.viewer, { kind: 'create-task', task: repair });
    const event = eventFor(row, { payload: { shop: 'oslo' } });
    const { failures } = await deliver(aDelivery(event));
    expect(failures).toMatchObject([{ part: row.id, cause: 'FORBIDDEN', isFinal: true }]);
    expect(await tasksOf(row)).toEqual([]);
  });

  test('a start that is lost leaves the task to the relay', async () => {
    const row = await make({ kind: 'create-task', task: repair });
    temporalIsAway = true;
    expect(await deliver(aDelivery(eventFor(row, { payload: { shop: 'kiel' } })))).toEqual(nothing);
    expect(await tasksOf(row)).toHaveLength(1);
  });
});

describe('failures', () => {
  test('one wormhole that fails is reported as its part, and the others act', async () => {
    const match = { types: ['shop.many'], minSeverity: 'info', excludeSourceTypes: [] } as const;
    const given = { match: { ...match, types: ['shop.many'], excludeSourceTypes: [] } };
    const broken = await make(
      { kind: 'create-task', task: { ...repair, target: '{{payload.none}}' } },
      given,
    );
    const log = await make({ kind: 'log' }, given);
    const event = aLoggedEvent({ type: 'shop.many' });
    const { failures } = await deliver(aDelivery(event));
    expect(failures).toMatchObject([
      { eventId: event.id, part: broken.id, error: 'The target is empty for this event.' },
    ]);
    expect(await resultsOf(log)).toHaveLength(1);
    expect(await countOf(broken, 'failed')).toBe(1);
  });

  test('a retry runs only the wormhole it is for', async () => {
    const given = { match: { types: ['shop.two'], minSeverity: 'info' as const, excludeSourceTypes: [] } };
    const [one, two] = await Promise.all([make({ kind: 'log' }, given), make({ kind: 'log' }, given)]);
    await deliver(aDelivery(aLoggedEvent({ type: 'shop.two' }), { part: two.id, attempt: 2 }));
    expect([await resultsOf(one), await resultsOf(two)].map((results) => results.length)).toEqual([0, 1]);
  });

  test('a wormhole that was switched off or changed between two tries is off or changed at once', async () => {
    const row = await make({ kind: 'log' });
    const by = { id: row.id, actor: people.admin };
    await disableWormhole(database.db, { ...by, opKey: newId('op') });
    expect(await deliver(aDelivery(eventFor(row), { part: row.id, attempt: 2 }))).toEqual(nothing);
    expect(await resultsOf(row)).toEqual([]);
    const edit = { match: { types: ['else.where'], minSeverity: 'info' as const, excludeSourceTypes: [] } };
    await changeWormhole(database.db, { ...by, seen: 1, edit, opKey: newId('op') });
    await database.root`update wormholes set enabled = true where id = ${row.id}`;
    expect(await deliver(aDelivery(eventFor(row), { part: row.id, attempt: 3 }))).toEqual(nothing);
    expect(await resultsOf(row)).toEqual([]);
  });

  test('while HALO is out of reach events stay where they are, and what was done stays done', async () => {
    const given = { match: { types: ['shop.halo'], minSeverity: 'info' as const, excludeSourceTypes: [] } };
    const log = await make({ kind: 'log' }, given);
    const halo = await make({ kind: 'trigger-halo' }, given);
    const event = aLoggedEvent({ type: 'shop.halo' });
    temporalIsAway = true;
    await expect(deliver(aDelivery(event))).rejects.toThrow(Unavailable);
    temporalIsAway = false;
    expect(await deliver(aDelivery(event))).toEqual(nothing);
    expect(triggered).toEqual([[event]]);
    expect([await countOf(log, 'acted'), await countOf(halo, 'acted')]).toEqual([1, 1]);
  });
});

test('a preview says what would be done, and nothing is', async () => {
  const row = await make({ kind: 'create-task', task: repair });
  const event = eventFor(row, { payload: { shop: 'bern' } });
  const context = { subscription: 'wormholes', config: {}, signal: new AbortController().signal };
  const previews = await handler().preview([aDelivery(event)], context);
  expect(previews).toMatchObject([
    {
      eventId: event.id,
      part: row.id,
      would: 'propose repair.shop for shop:bern: Repair bern',
      detail: { outcome: 'acts' },
    },
  ]);
  expect([await tasksOf(row), await resultsOf(row)]).toEqual([[], []]);
});

test('a filter decides with the event, and one that cannot be read any more harms no other wormhole', async () => {
  const match = (filter: string) => ({
    match: { types: ['shop.filter'], minSeverity: 'info' as const, excludeSourceTypes: [], filter },
  });
  const high = await make({ kind: 'log' }, match('payload.total > 100'));
  const broken = await make({ kind: 'log' }, match('payload.total > '));
  for (const total of [100, 100.5, 150])
    await deliver(aDelivery(aLoggedEvent({ type: 'shop.filter', payload: { total } })));
  await deliver(aDelivery(aLoggedEvent({ type: 'shop.filter' })));
  expect([await resultsOf(high), await resultsOf(broken)].map((results) => results.length)).toEqual([2, 0]);
});

test('old results and ended counts are deleted, newer ones stay', async () => {
  const row = await make({ kind: 'log' });
  const [old, fresh] = [eventFor(row), eventFor(row)];
  await deliver(aDelivery(old), aDelivery(fresh));
  await database.root`update wormhole_results set at = now() - interval '8 days' where event_id = ${old.id}`;
  expect(await deleteOldResults(database.db)).toBe(1);
  expect(await resultsOf(row)).toMatchObject([{ eventId: fresh.id }]);
});
