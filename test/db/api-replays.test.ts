import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createReplayActivities } from '../../activities/replays.ts';
import { appendEvents } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import { ensureSubscription } from '../../db/subscriptions.ts';
import type { EventInput } from '../../domain/events.ts';
import { replayWorkflowId } from '../../domain/names.ts';
import { createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;
let keys: Record<keyof People, string>;
let people: People;
let api: TestApi;
let thread: string;
const subscription = 'shop';

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
  await ensureSubscription(database.log, {
    ...{ key: subscription, handler: 'test' },
    match: { types: ['shop.*'], minSeverity: 'info', excludeSourceTypes: [] },
  });
});
beforeEach(() => {
  api = createTestApi(database);
  thread = newId('thread');
});

async function append(count: number, given: Partial<EventInput> = {}): Promise<string[]> {
  const events = Array.from({ length: count }, () => ({
    ...{ type: 'shop.order', source: { type: 'api' as const, id: 'shop' }, severity: 'info' as const },
    ...{ payload: {}, metadata: {}, correlationId: thread },
    ...given,
  }));
  return (await appendEvents(database.log, events)).map(({ id }) => id);
}

const start = (body: object, as = keys.operator, headers = {}) =>
  api.call('POST', '/v1/replays', {
    ...{ as, headers },
    body: { subscription, select: { correlationId: thread }, reason: 'look again', ...body },
  });
const preview = async (body: object = {}) =>
  (await start({ preview: true, reason: undefined, ...body })).body;
const stored = async () => {
  const [row] = await database.root<{ n: number }[]>`select count(*)::int as n from replays`;
  return row?.n;
};

describe('a preview', () => {
  test('counts what would be handed over, with the first and the last, and starts nothing', async () => {
    const ids = [...(await append(3)), ...(await append(1, { type: 'bank.transfer' }))];
    const before = await stored();
    await eventually(async () => (await preview({ onlyMatching: true })).count).toBe(4);
    expect(await preview({ onlyMatching: true })).toMatchObject({
      ...{ preview: true, count: 4, more: false, matching: 3 },
      ...{ first: { id: ids[0] }, last: { id: ids[3] } },
      types: [
        { type: 'shop.order', count: 3 },
        { type: 'bank.transfer', count: 1 },
      ],
    });
    expect(await preview()).toMatchObject({ matching: null });
    expect([await stored(), api.temporal.replayed]).toEqual([before, []]);
  });

  test('makes the start take exactly what it showed, and nothing that came since', async () => {
    const ids = await append(2);
    await eventually(async () => (await preview()).count).toBe(2);
    const { selection } = await preview();
    await append(2);
    const { status, body } = await start({ selection });
    expect(status).toBe(202);
    const { queueReplayPage } = createReplayActivities({ database });
    await eventually(async () => (await queueReplayPage({ replayId: body.id })).end).toBe('all');
    const { items } = (await api.call('GET', `/v1/replays/${body.id}/deliveries`, { as: keys.viewer })).body;
    expect(items.map((item: { eventId: string }) => item.eventId).sort()).toEqual([...ids].sort());
  });

  test('is for one question: another one, and a made-up one, start nothing', async () => {
    await append(1);
    const { selection } = await preview();
    const before = await stored();
    expect((await start({ selection, onlyMatching: true })).status).toBe(412);
    expect((await start({ selection: 'made-up' })).status).toBe(400);
    const future = {
      ...JSON.parse(Buffer.from(selection, 'base64url').toString()),
      tx: '18446744073709551615',
    };
    const forged = Buffer.from(JSON.stringify(future)).toString('base64url');
    expect((await start({ selection: forged })).body).toMatchObject({ code: 'INVALID' });
    expect(await stored()).toBe(before);
  });
});

describe('a start', () => {
  test('stores the replay without side effects, starts its run, and links to it', async () => {
    const { status, body } = await start({});
    expect(status).toBe(202);
    expect(body).toMatchObject({
      ...{ subscription, sideEffects: false, perMinute: 6_000, maximum: 10_000, state: 'running' },
      ...{ reason: 'look again', requestedBy: people.operator, select: { correlationId: thread } },
      progress: { selected: 0, queued: 0, allQueued: false, pending: 0 },
      temporal: { workflowId: replayWorkflowId(body.id), url: expect.stringContaining('replay') },
    });
    expect(api.temporal.replayed).toEqual([{ replayId: body.id, subscription }]);
    const audit = await database.root`
      select actor, action from audit_entries where subject_id = ${body.id}`;
    expect([...audit]).toEqual([{ actor: people.operator, action: 'replay.start' }]);
  });

  test('with side effects is for who may change subscriptions', async () => {
    expect((await start({ sideEffects: true })).status).toBe(403);
    const { status, body } = await start({ sideEffects: true }, keys.admin);
    expect([status, body.sideEffects]).toEqual([202, true]);
    const [event] = await database.root`
      select severity from events where correlation_id = ${body.id} and type = 'bus.replay.started'`;
    expect(event).toMatchObject({ severity: 'warning' });
  });

  test('while Temporal is away is stored all the same: the relay starts it', async () => {
    api.temporal.down = true;
    const { status, body } = await start({});
    expect([status, body.state, body.temporal.runId]).toEqual([202, 'running', null]);
  });

  test('twice with one Idempotency-Key is one replay', async () => {
    const headers = { 'idempotency-key': newId('key') };
    const [one, two] = [await start({}, keys.operator, headers), await start({}, keys.operator, headers)];
    expect(two.body.id).toBe(one.body.id);
  });

  test.each([
    [{ select: {} }, 400, 'at least one'],
    [{ select: { type: '*' } }, 400, 'type'],
    [{ select: { to: '2999-01-01T00:00:00.000Z' } }, 400, 'future'],
    [{ select: { everything: true } }, 400, ''],
    [{ subscription: 'nobody' }, 404, 'nobody'],
    [{ reason: undefined }, 400, 'reason'],
    [{ perMinute: 0 }, 400, 'perMinute'],
    [{ maximum: 1 }, 429, 'more than 1'],
  ])('of %j is refused, with nothing stored', async (given, status, why) => {
    await append(2);
    await eventually(async () => (await preview()).count).toBe(2);
    const before = await stored();
    const answer = await start(given);
    expect(answer.status).toBe(status);
    expect(answer.body.detail).toContain(why);
    expect(await stored()).toBe(before);
  });

  test('into a subscription that is switched off is refused', async () => {
    await ensureSubscription(database.log, {
      ...{ key: 'off', handler: 'test' },
      match: { types: [], minSeverity: 'info', excludeSourceTypes: [] },
    });
    await database.root`update subscriptions set enabled = false where key = 'off'`;
    expect((await start({ subscription: 'off' })).body).toMatchObject({ code: 'CONFLICT' });
  });
});

describe('a cancellation', () => {
  const cancel = (id: string, as = keys.operator) =>
    api.call('POST', `/v1/replays/${id}/cancel`, { as, body: { reason: 'wrong window' } });

  test('is a recorded request to its run, which ends the replay', async () => {
    const { body } = await start({});
    const workflowId = replayWorkflowId(body.id);
    const activities = createReplayActivities({ database });
    api.temporal.answer = async ({ requestId }) => {
      const proof = await activities.acceptReplayCancel({ replayId: body.id, workflowId, requestId });
      if ('refused' in proof) return { answer: { accepted: false, ...proof } };
      const end = { replayId: body.id, state: 'cancelled' as const, because: proof.reason };
      await activities.endReplay({ ...end, actor: proof.actor, requestId, opKey: newId('op') });
      return { answer: { accepted: true, state: 'cancelled' } };
    };
    const answer = await cancel(body.id);
    expect([answer.status, answer.body.state, answer.body.because]).toEqual([
      200,
      'cancelled',
      'wrong window',
    ]);
    expect((await cancel(body.id)).body).toMatchObject({ code: 'CONFLICT' });
    const [request] = await database.root`
      select state, subject_id from decision_requests where workflow_id = ${workflowId}`;
    expect(request).toEqual({ state: 'recorded', subject_id: body.id });
    const audit = await database.root`
      select action, subject_kind as kind, actor from audit_entries
      where subject_id = ${body.id} order by chain_no offset 1`;
    expect([...audit]).toEqual([
      { action: 'request.cancel', kind: 'replay', actor: people.operator },
      { action: 'replay.cancel', kind: 'replay', actor: people.operator },
    ]);
  });

  test('that the run has not heard yet is on its way', async () => {
    const { body } = await start({});
    expect(await cancel(body.id)).toMatchObject({ status: 202, body: { status: 'accepted-for-delivery' } });
  });

  test('counts only with a request that is on record, for this run, of somebody who may', async () => {
    const { body } = await start({});
    const activities = createReplayActivities({ database });
    const accept = (requestId: string, workflowId = replayWorkflowId(body.id)) =>
      activities.acceptReplayCancel({ replayId: body.id, workflowId, requestId });
    expect(await accept('made-up')).toMatchObject({ refused: 'FORBIDDEN' });
    await cancel(body.id);
    const [request] = await database.root<{ id: string }[]>`
      select id from decision_requests where subject_id = ${body.id}`;
    const id = request?.id ?? '';
    expect(await accept(id, 'replay/another')).toMatchObject({ refused: 'FORBIDDEN' });
    await database.root`update principals set role = 'viewer' where id = ${people.operator}`;
    expect(await accept(id)).toMatchObject({ refused: 'FORBIDDEN' });
    await database.root`update principals set role = 'operator' where id = ${people.operator}`;
  });

  test('of an unknown replay is not found', async () => {
    expect((await cancel('rpl_unknown')).status).toBe(404);
  });
});

test('replays are listed newest first with their progress, page by page', async () => {
  const ids = [];
  for (let n = 0; n < 3; n += 1) ids.push((await start({})).body.id);
  const seen: string[] = [];
  let cursor = '';
  for (let page = 0; page < 2; page += 1) {
    const { body } = await api.call('GET', `/v1/replays?subscription=${subscription}&limit=2${cursor}`, {
      as: keys.viewer,
    });
    seen.push(...body.items.map(({ id }: { id: string }) => id));
    cursor = `&cursor=${body.nextCursor}`;
  }
  expect(seen.slice(0, 3).sort()).toEqual([...ids].sort());
  const one = await api.call('GET', `/v1/replays/${ids[0]}`, { as: keys.viewer });
  expect(one.body).toMatchObject({ id: ids[0], progress: { pending: 0 } });
  expect((await api.call('GET', '/v1/replays/rpl_unknown', { as: keys.viewer })).status).toBe(404);
});
