import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { createPrincipal } from '../../db/principals.ts';
import { createRole } from '../../db/roles.ts';
import { releaseItems } from '../../db/redrive-release.ts';
import { aKey, createTestApi, keysOf, type TestApi, type Untyped } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import {
  aSubscription,
  completeDelivery,
  deliveriesOf,
  failDelivery,
  letterStates,
  someLetters,
} from '../support/dead-letters.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;

beforeAll(async () => {
  database = await openTestDatabase(40);
  people = await createPeople(database);
  keys = await keysOf(database, people);
});
beforeEach(() => {
  api = createTestApi(database);
});

const get = (path: string, as = keys.viewer) => api.call('GET', path, { as });
const post = (path: string, body: unknown, as = keys.operator) => api.call('POST', path, { as, body });
const idsOf = (items: { id: string }[]): string[] => items.map(({ id }) => id);

/** What a preview shows is then done with its selection. */
async function previewed(action: 'redrive' | 'discard', wanted: object, as = keys.operator) {
  const path = `/v1/dead-letters/${action}`;
  const preview = await post(path, { ...wanted, preview: true }, as);
  return { preview, act: () => post(path, { ...wanted, selection: preview.body.selection }, as) };
}

describe('the list', () => {
  test('has every open one by default, newest first, page by page', async () => {
    const subscription = await aSubscription(database);
    const letters = await someLetters(database, subscription, 5);
    const seen: string[] = [];
    let cursor = '';
    for (let page = 0; page < 3; page += 1) {
      const { status, body } = await get(`/v1/dead-letters?subscription=${subscription}&limit=2${cursor}`);
      expect(status).toBe(200);
      seen.push(...idsOf(body.items));
      cursor = `&cursor=${body.nextCursor}`;
      if (page === 2) expect(body.nextCursor).toBeNull();
    }
    expect(seen).toEqual(idsOf(letters).toReversed());
  });

  test.each<[string, (subscription: string) => string, string]>([
    ['cause', () => 'cause=UNREACHABLE', 'b'],
    ['a whole type', () => 'type=shop.order.failed', 'a'],
    ['the beginning of a type', () => 'type=shop.order.*', 'ab'],
    ['an event', () => 'eventId=evt_of_b', 'b'],
    ['a part of the error, whatever its case', () => 'text=REFUSED%20BY', 'b'],
    ['what LIKE would take for anything', () => 'text=%25', 'c'],
    ['a state', () => 'state=discarded', ''],
    ['any state', () => 'state=any', 'abc'],
    ['a time from', () => `from=${encodeURIComponent(new Date(Date.now() - 30_000).toISOString())}`, 'c'],
    ['a time to', () => `to=${encodeURIComponent(new Date(Date.now() - 30_000).toISOString())}`, 'ab'],
  ])('can be filtered by %s', async (_what, query, expected) => {
    const subscription = await aSubscription(database);
    const event = (type: string, id: string) => ({ event: { type, id: `${id}${newId('x')}` } });
    const [a] = await someLetters(database, subscription, 1, event('shop.order.failed', 'a'));
    const [b] = await someLetters(database, subscription, 1, {
      ...event('shop.order.lost', 'b'),
      ...{ cause: 'UNREACHABLE', error: 'connection refused by peer_1' },
    });
    const [c] = await someLetters(database, subscription, 1, {
      ...event('deploy.done', 'c'),
      ...{ error: '100 % of it', ageMs: 1_000 },
    });
    await database.root`update dead_letters set event_id = ${`evt_of_b`} where id = ${b?.id ?? ''}`;
    const names = new Map([a, b, c].map((letter, at) => [letter?.id, 'abc'[at]]));
    const { status, body } = await get(
      `/v1/dead-letters?subscription=${subscription}&${query(subscription)}`,
    );
    expect(status).toBe(200);
    expect(
      idsOf(body.items)
        .map((id) => names.get(id))
        .sort()
        .join(''),
    ).toBe(expected);
  });

  test.each(['type=Shop', 'type=a*b', 'state=gone', 'from=yesterday', 'text=%00', 'colour=red', 'cursor=x'])(
    '%s is refused',
    async (query) => {
      expect(await get(`/v1/dead-letters?${query}`)).toMatchObject({ status: 400 });
    },
  );

  test('shows neither events nor histories, which can be large', async () => {
    const subscription = await aSubscription(database);
    await someLetters(database, subscription, 1, { event: { payload: { card: 'PAYLOAD-1' } } });
    const { body } = await get(`/v1/dead-letters?subscription=${subscription}`);
    expect(JSON.stringify(body)).not.toContain('PAYLOAD-1');
  });
});

test('one shows its event as it was, every attempt, its delivery and each time it was given up', async () => {
  const subscription = await aSubscription(database);
  const [letter] = await someLetters(database, subscription, 1, { event: { payload: { order: 7 } } });
  const { id: redriveId } = (await post(`/v1/dead-letters/${letter?.id}/redrive`, {})).body.redrive;
  await releaseItems(database.db, { id: redriveId, count: 1, canary: true, handled: 0 });
  await failDelivery(database, letter?.deliveryId ?? '', 'UNREACHABLE');
  const { status, body } = await get(`/v1/dead-letters/${letter?.id}`);
  expect(status).toBe(200);
  expect(body).toMatchObject({
    ...{ id: letter?.id, subscription, state: 'requeued', handledBy: people.operator, redriveId },
    event: { id: letter?.eventId, payload: { order: 7 } },
    history: [{ cause: 'HANDLER_FAILED', error: 'it broke' }],
    delivery: { state: 'failed', history: [{ cause: 'HANDLER_FAILED' }, { cause: 'REDRIVEN' }] },
    occurrences: [
      { id: letter?.id, state: 'requeued', redriveId },
      { state: 'open', cause: 'UNREACHABLE', redriveId: null },
    ],
  });
  expect(await get('/v1/dead-letters/ddl_none')).toMatchObject({ status: 404 });
});

test('the summary says what grew: by subscription and cause, the last hour first', async () => {
  const [fresh, old, gone] = [
    await aSubscription(database),
    await aSubscription(database),
    await aSubscription(database),
  ];
  const hour = 3_600_000;
  await someLetters(database, old, 4, { cause: 'REFUSED', ageMs: 30 * hour });
  await someLetters(database, old, 2, { cause: 'REFUSED', ageMs: 2 * hour });
  await someLetters(database, fresh, 3, { cause: 'UNREACHABLE' });
  const letters = await someLetters(database, gone, 3, { cause: 'REFUSED' });
  const { act } = await previewed('discard', { ids: idsOf(letters), reason: 'a test' });
  await act();
  const { status, body } = await get('/v1/dead-letters/summary');
  expect(status).toBe(200);
  const heaps: Untyped[] = body.heaps.filter((heap: Untyped) =>
    [fresh, old, gone].includes(heap.subscription),
  );
  expect(heaps).toMatchObject([
    ...[
      { subscription: fresh, cause: 'UNREACHABLE', open: 3, lastHour: 3, lastDay: 3 },
      { subscription: gone, cause: 'REFUSED', open: 0, lastHour: 3, lastDay: 3, oldestOpenAt: null },
    ],
    { subscription: old, cause: 'REFUSED', open: 6, lastHour: 0, lastDay: 2 },
  ]);
  expect(body.open).toBeGreaterThanOrEqual(9);
});

describe('a redrive', () => {
  test('is shown first, changes nothing by that, and is then about exactly what was shown', async () => {
    const subscription = await aSubscription(database);
    const letters = await someLetters(database, subscription, 15);
    await someLetters(database, subscription, 2, { cause: 'REFUSED' });
    const wanted = { filter: { subscription, cause: 'HANDLER_FAILED' }, perMinute: 120, reason: 'mended' };
    const { preview, act } = await previewed('redrive', wanted);
    expect(preview).toMatchObject({
      status: 200,
      body: { preview: true, count: 15, more: false, leftOut: [], heaps: [{ subscription, count: 15 }] },
    });
    expect(idsOf(preview.body.items)).toEqual(idsOf(letters.slice(0, 10)));
    expect(api.temporal.redriven).toEqual([]);
    // What comes later was seen by nobody: it is not part of it, and does not stand in its way.
    await someLetters(database, subscription, 3, { ageMs: 0 });
    const { status, body } = await act();
    expect(status).toBe(201);
    expect(body).toMatchObject({
      ...{ preview: false, leftOut: [] },
      redrive: {
        ...{ state: 'canary', total: 15, perMinute: 120, canary: true, requestedBy: people.operator },
        ...{ reason: 'mended', filter: { subscription, cause: 'HANDLER_FAILED' }, counts: { waiting: 15 } },
        temporal: { workflowId: `redrive/${body.redrive.id}`, url: expect.stringContaining('redrive') },
      },
    });
    expect(api.temporal.redriven).toEqual([body.redrive.id]);
  });

  test('takes the oldest up to its maximum, and says that there are more', async () => {
    const subscription = await aSubscription(database);
    const letters = await someLetters(database, subscription, 105);
    const byDefault = await previewed('redrive', { filter: { subscription } });
    expect(byDefault.preview.body).toMatchObject({ count: 100, more: true });
    const { preview } = await previewed('redrive', { filter: { subscription }, maximum: 3 });
    expect(preview.body).toMatchObject({ count: 3, more: true });
    expect(idsOf(preview.body.items)).toEqual(idsOf(letters.slice(0, 3)));
    // Named ones are all meant.
    const named = await previewed('redrive', { ids: idsOf(letters) });
    expect(named.preview.body).toMatchObject({ count: 105, more: false });
  });

  test('is refused when what was shown is no longer so, and the refusal is on record', async () => {
    const subscription = await aSubscription(database);
    const letters = await someLetters(database, subscription, 3);
    const { act } = await previewed('redrive', { filter: { subscription } });
    await post(`/v1/dead-letters/${letters[1]?.id}/discard`, { reason: 'old' });
    expect(await act()).toMatchObject({
      status: 412,
      body: { code: 'STALE', details: { seen: 3, now: 2 }, detail: expect.stringContaining('preview again') },
    });
    expect(api.temporal.redriven).toEqual([]);
    const [entry] = await database.root`
      select actor, outcome from audit_entries where action = 'dead-letter.redrive' order by chain_no desc limit 1`;
    expect(entry).toEqual({ actor: people.operator, outcome: 'refused' });
  });

  test('names each that it cannot be about, and why', async () => {
    const [subscription, off] = [await aSubscription(database), await aSubscription(database)];
    const [free, lost, taken] = await someLetters(database, subscription, 3);
    const [stale] = await someLetters(database, off, 1);
    await database.root`update subscriptions set enabled = false where key = ${off}`;
    await post(`/v1/dead-letters/${lost?.id}/discard`, { reason: 'nobody needs it' });
    const other = (await post(`/v1/dead-letters/${taken?.id}/redrive`, {})).body.redrive.id;
    const ids = [free, lost, taken, stale].map((letter) => letter?.id ?? '');
    const { preview } = await previewed('redrive', { ids: [...ids, 'ddl_none'] });
    expect(preview.body.count).toBe(1);
    const whys = new Map(preview.body.leftOut.map(({ id, why }: Untyped) => [id, why]));
    expect(whys.get(lost?.id)).toMatch(/discarded by .* \(nobody needs it\), and what is discarded stays so/);
    expect(whys.get(taken?.id)).toBe(`The redrive ${other} has taken it up already.`);
    expect(whys.get(stale?.id)).toMatch(/switched off; enable it first/);
    expect(whys.get('ddl_none')).toBe('There is no dead letter ddl_none.');
  });

  test('of one that is discarded, unknown or taken is refused with the reason', async () => {
    const [one, two] = await someLetters(database, await aSubscription(database), 2);
    const path = (id = '') => `/v1/dead-letters/${id}/redrive`;
    await post(`/v1/dead-letters/${one?.id}/discard`, { reason: 'nobody needs it' });
    expect(await post(path(one?.id), {})).toMatchObject({
      ...{
        status: 409,
        body: { code: 'CONFLICT', detail: expect.stringContaining('what is discarded stays so') },
      },
    });
    expect(await post(path('ddl_none'), {})).toMatchObject({ status: 404 });
    // A body is not needed.
    expect(await api.call('POST', path(two?.id), { as: keys.operator })).toMatchObject({ status: 201 });
    expect(await post(path(two?.id), {})).toMatchObject({ status: 409 });
  });

  test('asked for by 32 at once is one, and the others are told who has it', async () => {
    const subscription = await aSubscription(database);
    const letters = await someLetters(database, subscription, 8);
    const { preview } = await previewed('redrive', { filter: { subscription } });
    const { selection } = preview.body;
    const answers = await Promise.all(
      Array.from({ length: 32 }, () =>
        post('/v1/dead-letters/redrive', { filter: { subscription }, selection }),
      ),
    );
    const won = answers.filter(({ status }) => status === 201);
    expect(won).toHaveLength(1);
    expect(won[0]?.body.redrive.total).toBe(8);
    for (const { status, body } of answers.filter(({ status: code }) => code !== 201)) {
      expect([409, 412]).toContain(status);
      if (status === 409) expect(body.detail).toContain(won[0]?.body.redrive.id);
    }
    expect(await letterStates(database, idsOf(letters))).toEqual(Array(8).fill('open'));
  });

  test('of which somebody else was faster with one leaves out that one only', async () => {
    const subscription = await aSubscription(database);
    const letters = await someLetters(database, subscription, 3);
    const { act } = await previewed('redrive', { filter: { subscription } });
    const lost = letters[1]?.id ?? '';
    const other = await database.root.reserve();
    try {
      // Not committed while the letters are selected, committed when they are taken.
      await other.unsafe('begin');
      await other`
        update dead_letters set state = 'discarded', handled_by = 'prn_bob', reason = 'old', handled_at = now()
        where id = ${lost}`;
      const acting = act();
      const isWaiting = () => database.root`
        select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%insert into redrives%'`;
      await eventually(isWaiting).toHaveLength(1);
      await other.unsafe('commit');
      const { status, body } = await acting;
      expect(status).toBe(201);
      expect(body.redrive.total).toBe(2);
      expect(body.leftOut).toEqual([{ id: lost, why: expect.stringContaining('discarded by prn_bob') }]);
    } finally {
      other.release();
    }
  });

  test('is kept while Temporal does not answer: the relay starts its run', async () => {
    const [letter] = await someLetters(database, await aSubscription(database), 1);
    api.temporal.down = true;
    const { status, body } = await post(`/v1/dead-letters/${letter?.id}/redrive`, { reason: 'mended' });
    expect(status).toBe(202);
    expect(body.redrive).toMatchObject({ state: 'canary', total: 1, temporal: { runId: null } });
  });

  test.each<[string, object]>([
    ['neither ids nor a filter', { preview: true }],
    ['both', { ids: ['ddl_1'], filter: {}, preview: true }],
    ['neither a preview nor a selection', { filter: {} }],
    ['both of these', { filter: {}, preview: true, selection: 'x' }],
    ['a selection that no preview made', { filter: {}, selection: 'x' }],
    ['no ids', { ids: [], preview: true }],
    [
      'more ids than may be named',
      { ids: Array.from({ length: 1_001 }, (_none, at) => `ddl_${at}`), preview: true },
    ],
    ['a maximum over the largest', { filter: {}, maximum: 10_001, preview: true }],
    ['none a minute', { filter: {}, perMinute: 0, preview: true }],
    ['too many a minute', { filter: {}, perMinute: 6_001, preview: true }],
    ['an empty reason', { filter: {}, reason: ' ', preview: true }],
    ['a filter that does not exist', { filter: { colour: 'red' }, preview: true }],
    ['a state, which is always open', { filter: { state: 'discarded' }, preview: true }],
  ])('with %s is refused', async (_what, body) => {
    expect(await post('/v1/dead-letters/redrive', body)).toMatchObject({
      status: 400,
      body: { code: 'INVALID' },
    });
  });
});

describe('a discard', () => {
  test('is shown first and then gives up exactly what was shown, with who, when and why', async () => {
    const subscription = await aSubscription(database);
    const letters = await someLetters(database, subscription, 4);
    const { preview, act } = await previewed('discard', { filter: { subscription }, reason: 'a bad deploy' });
    expect(preview.body).toMatchObject({ preview: true, count: 4 });
    expect(await letterStates(database, idsOf(letters))).toEqual(Array(4).fill('open'));
    expect(await act()).toMatchObject({
      status: 200,
      body: { preview: false, count: 4, discarded: 4, leftOut: [] },
    });
    const { body } = await get(`/v1/dead-letters/${letters[0]?.id}`);
    expect(body).toMatchObject({ state: 'discarded', handledBy: people.operator, reason: 'a bad deploy' });
    expect(body.handledAt).not.toBeNull();
  });

  test('without a reason is refused', async () => {
    const [letter] = await someLetters(database, await aSubscription(database), 1);
    for (const body of [{}, { reason: '' }, { reason: ' \n ' }])
      expect(await post(`/v1/dead-letters/${letter?.id}/discard`, body)).toMatchObject({ status: 400 });
    expect(await post('/v1/dead-letters/discard', { filter: {}, preview: true })).toMatchObject({
      status: 400,
    });
  });

  test('of one that was discarded or handed over again is told who did that', async () => {
    const subscription = await aSubscription(database);
    const [one, two] = await someLetters(database, subscription, 2);
    const discard = (id = '', as = keys.admin) =>
      post(`/v1/dead-letters/${id}/discard`, { reason: 'old' }, as);
    expect(await discard(one?.id)).toMatchObject({ status: 200, body: { state: 'discarded' } });
    const again = await discard(one?.id, keys.operator);
    expect(again).toMatchObject({ status: 409 });
    expect(again.body.detail).toContain(people.admin);
    const { id } = (await post(`/v1/dead-letters/${two?.id}/redrive`, {})).body.redrive;
    await releaseItems(database.db, { id, count: 1, canary: true, handled: 0 });
    const late = await discard(two?.id);
    expect(late.body.detail).toMatch(
      new RegExp(`handed over again by ${people.operator} at .* in the redrive ${id}`),
    );
    expect(await discard('ddl_none')).toMatchObject({ status: 404 });
  });

  test('wins against a redrive that has not come to it: that one leaves it out', async () => {
    const subscription = await aSubscription(database);
    const [letter] = await someLetters(database, subscription, 1);
    const { id } = (await post(`/v1/dead-letters/${letter?.id}/redrive`, {})).body.redrive;
    expect(await post(`/v1/dead-letters/${letter?.id}/discard`, { reason: 'old' })).toMatchObject({
      status: 200,
    });
    expect(await releaseItems(database.db, { id, count: 1, canary: true, handled: 0 })).toBe(0);
    expect((await get(`/v1/redrives/${id}`)).body).toMatchObject({
      counts: { leftOut: 1, released: 0 },
      odd: [{ deadLetterId: letter?.id, state: 'left-out' }],
    });
    expect(await deliveriesOf(database, subscription, 'failed')).toHaveLength(1);
  });
});

describe('a redrive under way', () => {
  async function started(count: number) {
    const subscription = await aSubscription(database);
    const letters = await someLetters(database, subscription, count);
    const { act } = await previewed('redrive', { filter: { subscription }, canary: false });
    const { redrive } = (await act()).body;
    await releaseItems(database.db, { id: redrive.id, count: 2, canary: false, handled: 0 });
    return { id: String(redrive.id), letters, subscription };
  }

  test('shows how far it has got as its deliveries stand now', async () => {
    const { id, letters } = await started(4);
    await completeDelivery(database, letters[0]?.deliveryId ?? '');
    await failDelivery(database, letters[1]?.deliveryId ?? '', 'UNREACHABLE');
    const counts = { waiting: 2, released: 0, completed: 1, failed: 1, leftOut: 0 };
    const { body } = await get(`/v1/redrives/${id}`);
    expect(body).toMatchObject({
      ...{ state: 'releasing', total: 4, counts },
      odd: [{ deadLetterId: letters[1]?.id, state: 'failed', because: 'UNREACHABLE' }],
    });
    const listed = await get('/v1/redrives?state=releasing&limit=200');
    expect(listed.body.items.find((item: Untyped) => item.id === id)).toMatchObject({ counts });
    expect(idsOf((await get('/v1/redrives?state=done')).body.items)).not.toContain(id);
  });

  test('is cancelled at once: the rest is open and free, what is on its way goes on', async () => {
    const { id, letters, subscription } = await started(5);
    const { status, body } = await post(`/v1/redrives/${id}/cancel`, { reason: 'wrong one' }, keys.admin);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      ...{ state: 'cancelled', cancelledBy: people.admin, endedBecause: 'wrong one' },
      counts: { released: 2, leftOut: 3, waiting: 0 },
    });
    expect(api.temporal.nudged).toEqual([id]);
    expect(await letterStates(database, idsOf(letters))).toEqual([
      ...['requeued', 'requeued', 'open', 'open', 'open'],
    ]);
    expect(await deliveriesOf(database, subscription, 'pending')).toHaveLength(2);
    const again = await post(`/v1/redrives/${id}/cancel`, {});
    expect(again).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('cancelled already') },
    });
    const { preview } = await previewed('redrive', { filter: { subscription } });
    expect(preview.body.count).toBe(3);
  });

  test('is cancelled while Temporal is down, too, and without a body', async () => {
    const { id } = await started(3);
    api.temporal.down = true;
    const answer = await api.call('POST', `/v1/redrives/${id}/cancel`, { as: keys.operator });
    expect(answer).toMatchObject({ status: 200, body: { state: 'cancelled' } });
    expect(await post('/v1/redrives/rdr_none/cancel', {})).toMatchObject({ status: 404 });
    expect(await get('/v1/redrives/rdr_none')).toMatchObject({ status: 404 });
  });
});

describe('who may not read events', () => {
  test('sees and handles no dead letter, but may count them', async () => {
    const role = newId('role');
    await createRole(database.db, {
      ...{ name: role, description: 'without events', permissions: ['bus:read', 'bus:operate'] },
      ...{ actor: people.admin, opKey: newId('op') },
    });
    const id = newId('prn');
    await createPrincipal(database.db, {
      ...{ id, kind: 'human', name: id, role, tier: 'unmetered', actor: people.admin, opKey: newId('op') },
    });
    const { key } = await aKey(database, id);
    const [letter] = await someLetters(database, await aSubscription(database), 1);
    const asked = [
      get('/v1/dead-letters', key),
      get(`/v1/dead-letters/${letter?.id}`, key),
      post('/v1/dead-letters/redrive', { filter: {}, preview: true }, key),
      post('/v1/dead-letters/discard', { filter: {}, preview: true, reason: 'x' }, key),
      post(`/v1/dead-letters/${letter?.id}/redrive`, {}, key),
      post(`/v1/dead-letters/${letter?.id}/discard`, { reason: 'x' }, key),
    ];
    for (const answer of await Promise.all(asked))
      expect(answer).toMatchObject({ status: 403, body: { detail: expect.stringContaining('events:read') } });
    expect(await get('/v1/dead-letters/summary', key)).toMatchObject({ status: 200 });
    expect(await letterStates(database, [letter?.id ?? ''])).toEqual(['open']);
  });

  test('and a viewer handles none', async () => {
    const [letter] = await someLetters(database, await aSubscription(database), 1);
    for (const path of [`/v1/dead-letters/${letter?.id}/redrive`, `/v1/dead-letters/${letter?.id}/discard`])
      expect(await post(path, { reason: 'x' }, keys.viewer)).toMatchObject({ status: 403 });
  });
});
