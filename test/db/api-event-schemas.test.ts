import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventSchemas } from '../../db/schema/index.ts';
import { createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { countQueries } from '../support/count-queries.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
});
beforeEach(async () => {
  await database.root`truncate event_schemas`;
  api = createTestApi(database);
});

const schema = {
  type: 'object',
  properties: { order: { type: 'integer' } },
  required: ['order'],
};
const type = 'shop.order.placed';
const event = { type, source: { type: 'api', id: 'shop' } };
const send = (body: unknown, where = api) => where.call('POST', '/v1/events', { as: keys.operator, body });
const add = (more: object = {}, as = keys.admin) =>
  api.call('POST', '/v1/event-schemas', { as, body: { type, schema, ...more } });
const read = async (id: string) => (await api.call('GET', `/v1/events/${id}`, { as: keys.viewer })).body;

describe('a schema that is enforced', () => {
  test('refuses what does not fit with its place, its reason and the version that said so', async () => {
    expect((await send({ ...event, payload: {} })).status).toBe(202);
    expect(await add()).toMatchObject({
      status: 201,
      body: { type, version: 1, mode: 'enforce', owner: people.admin },
    });
    const refused = await send({ ...event, id: 'evt_no', payload: { order: 'seven' } });
    expect(refused).toMatchObject({
      status: 400,
      body: { code: 'INVALID', details: { path: 'payload.order', schema: { type, version: 1 } } },
    });
    expect(refused.body.detail).toContain(
      'payload.order: must be integer (version 1 of the schema of shop.order.placed)',
    );
    expect(await database.root`select from events where id = 'evt_no'`).toEqual([]);
    const { body } = await send({ ...event, payload: { order: 7 } });
    expect(await read(body.id)).toMatchObject({ schemaVersion: 1, metadata: {} });
  });

  test('refuses a whole batch for one event, which is named', async () => {
    await add();
    const good = { ...event, payload: { order: 1 } };
    const batch = await send([
      { ...good, id: 'evt_first' },
      { ...event, payload: {} },
    ]);
    expect(batch).toMatchObject({ status: 400, body: { details: { index: 1, path: 'payload' } } });
    const raw = [good, good, { ...event, payload: {} }].map((each) => JSON.stringify(each)).join('\n');
    const headers = { 'content-type': 'application/x-ndjson' };
    const lines = await api.call('POST', '/v1/events', { as: keys.operator, raw, headers });
    expect(lines).toMatchObject({ status: 400, body: { details: { line: 3, path: 'payload' } } });
    expect(await database.root`select from events where id = 'evt_first'`).toEqual([]);
  });

  test('asks nothing of other types', async () => {
    await add();
    const { body } = await send({ ...event, type: 'shop.order.lost', payload: {} });
    expect(await read(body.id)).toMatchObject({ schemaVersion: null });
  });
});

test('a schema that warns stores the event with the warning', async () => {
  await add({ mode: 'warn' });
  const { body } = await send({ ...event, payload: {}, metadata: { mine: 1 } });
  expect(await read(body.id)).toMatchObject({
    schemaVersion: 1,
    metadata: { mine: 1, schemaWarning: { version: 1, path: 'payload' } },
  });
  const again = await send({ ...event, id: body.id, payload: {}, metadata: { mine: 1 } });
  expect(again.body).toEqual({ id: body.id, duplicate: true });
});

describe('versions of a schema', () => {
  test('take the place of each other, come back, and go', async () => {
    await add();
    await add({ schema: { type: 'object' }, description: 'anything goes' });
    expect((await send({ ...event, payload: {} })).status).toBe(202);
    const patch = (body: object) => api.call('PATCH', `/v1/event-schemas/${type}`, { as: keys.admin, body });
    expect(await patch({ version: 1, enabled: true })).toMatchObject({
      status: 200,
      body: {
        inForce: { version: 1 },
        versions: [
          { version: 2, enabled: false },
          { version: 1, enabled: true },
        ],
      },
    });
    expect((await send({ ...event, payload: {} })).status).toBe(400);
    await patch({ version: 1, mode: 'warn' });
    expect((await send({ ...event, payload: {} })).status).toBe(202);
    expect(await patch({ version: 9, enabled: true })).toMatchObject({ status: 404 });
    expect(await patch({ version: 1 })).toMatchObject({ status: 400 });
    const removed = await api.call('DELETE', `/v1/event-schemas/${type}`, { as: keys.admin });
    expect(removed).toMatchObject({ status: 200, body: { inForce: null } });
    const { body } = await send({ ...event, payload: {} });
    expect(await read(body.id)).toMatchObject({ schemaVersion: null, metadata: {} });
  });

  test('stored at once get a number each, or a conflict', async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => add()));
    expect(new Set(answers.map(({ status }) => status)).difference(new Set([201, 409])).size).toBe(0);
    const made = answers.filter(({ status }) => status === 201).map(({ body }) => body.version as number);
    expect(new Set(made).size).toBe(made.length);
    const rows = await database.root`select version from event_schemas where enabled`;
    expect(rows.length).toBeGreaterThanOrEqual(1);
    const { body } = await api.call('GET', `/v1/event-schemas/${type}`, { as: keys.viewer });
    expect(body.inForce.version).toBe(Math.max(...made));
  });

  test('act on every other process within about a second, and are told and audited', async () => {
    const other = createTestApi(database);
    expect((await send({ ...event, payload: {} }, other)).status).toBe(202);
    await add();
    await expect
      .poll(async () => (await send({ ...event, payload: {} }, other)).status, { timeout: 5_000 })
      .toBe(400);
    await api.call('DELETE', `/v1/event-schemas/${type}`, { as: keys.admin });
    await expect
      .poll(async () => (await send({ ...event, payload: {} }, other)).status, { timeout: 5_000 })
      .toBe(202);
    const audited = await database.root`
      select action from audit_entries where subject_kind = 'event-schema' order by chain_no desc limit 2`;
    expect(audited.map(({ action }) => action as string)).toEqual([
      'event-schema.change',
      'event-schema.add',
    ]);
    const told = await database.root`select from events where type = 'bus.schema.changed'`;
    expect(told.length).toBeGreaterThanOrEqual(2);
  });
});

describe('what is no schema for anybody', () => {
  test.each([
    ['a type of the system', { type: 'squad.task.failed' }, 400, /system itself/],
    ['a reference to elsewhere', { schema: { $ref: 'https://a/b' } }, 400, /leads elsewhere/],
    [
      'a pattern that looks ahead',
      { schema: { properties: { a: { type: 'string', pattern: '(?=a)' } } } },
      400,
      /\(\?=/,
    ],
    ['more than 64 KiB', { schema: { description: 'x'.repeat(70_000) } }, 413, /65536/],
    ['a mode that is none', { mode: 'shout' }, 400, /mode/],
  ])('%s is refused', async (_what, more, status, detail) => {
    const answer = await add(more);
    expect(answer.status).toBe(status);
    expect(answer.body.detail).toMatch(detail);
    expect(await database.root`select from event_schemas`).toEqual([]);
  });

  test('only who may change the bus stores one', async () => {
    for (const as of [keys.operator, keys.viewer, keys.agent]) expect((await add({}, as)).status).toBe(403);
  });
});

describe('before a schema is enforced', () => {
  test('an event can be tried on it, with nothing stored', async () => {
    const check = (payload: object) =>
      api.call('POST', '/v1/event-schemas/check', {
        as: keys.viewer,
        body: { schema, event: { ...event, payload } },
      });
    const before = await database.root`select count(*)::int as n from events`;
    expect((await check({ order: 7 })).body).toEqual({ valid: true, problem: null });
    expect((await check({ order: null })).body).toEqual({
      valid: false,
      problem: { path: 'payload.order', message: 'must be integer' },
    });
    expect(await database.root`select count(*)::int as n from events`).toEqual(before);
  });

  test('it runs over the newest recorded events of its type', async () => {
    const payloads = [{ order: 1 }, { order: 'two' }, { order: 3 }, {}];
    for (const payload of payloads) await send({ ...event, type: 'tested.back', payload });
    const run = (last: number) =>
      api.call('POST', '/v1/event-schemas/back-test', {
        as: keys.viewer,
        body: { type: 'tested.back', schema, last },
      });
    expect((await run(10)).body).toMatchObject({ looked: 4, valid: 2, invalid: 2 });
    const { body } = await run(1);
    expect(body).toMatchObject({ looked: 1, invalid: 1, examples: [{ path: 'payload' }] });
    expect(await read(body.examples[0].eventId)).toMatchObject({ payload: {} });
  });
});

test('the types that came lately are counted, with whether they have a schema', async () => {
  await add();
  await send([1, 2, 3].map((order) => ({ ...event, type, payload: { order } })));
  await send({ ...event, type: 'seen.once', payload: {} });
  const { body } = await api.call('GET', '/v1/event-types?hours=1', { as: keys.viewer });
  expect(body).toMatchObject({ hours: 1, complete: true });
  const of = (wanted: string) => body.items.find((each: { type: string }) => each.type === wanted);
  expect(of('seen.once')).toMatchObject({ count: 1, hasSchema: false });
  expect(of(type).count).toBeGreaterThanOrEqual(3);
  expect(of(type).hasSchema).toBe(true);
  expect(of(type).firstSeen <= of(type).lastSeen).toBe(true);
});

test('while no type has a schema none is read, however many events come', async () => {
  const counted = countQueries(database, eventSchemas);
  const where = createTestApi(counted.database);
  for (let at = 0; at < 20; at += 1) expect((await send(event, where)).status).toBe(202);
  expect(counted.count()).toBe(0);
  await add();
  await expect
    .poll(async () => (await send({ ...event, payload: {} }, where)).status, { timeout: 5_000 })
    .toBe(400);
  expect(counted.count()).toBeGreaterThan(0);
});

describe('the rules of the retention', () => {
  const put = (body: object, as = keys.admin) => api.call('PUT', '/v1/retention', { as, body });

  test('are read, changed by who may, and refused where they are not sound', async () => {
    const { body } = await api.call('GET', '/v1/retention', { as: keys.viewer });
    expect(body).toMatchObject({ rules: [{ types: '*', keepDays: 90 }], applied: null });
    const rules = [
      { types: '*', keepDays: 30 },
      { types: 'noise.*', keepDays: 1 },
    ];
    expect((await put({ rules }, keys.operator)).status).toBe(403);
    expect(await put({ rules, version: body.version })).toMatchObject({ status: 200, body: { rules } });
    expect(await put({ rules, version: body.version })).toMatchObject({ status: 409 });
    for (const wrong of [
      [],
      [{ types: 'a.*', keepDays: 5 }],
      [{ types: '*', keepDays: 0 }],
      [{ types: '*', keepDays: 1.5 }],
      [...rules, rules[0]],
      [{ types: '*', keepDays: 5, owner: 'me' }],
    ])
      expect((await put({ rules: wrong })).status).toBe(400);
    expect((await api.call('GET', '/v1/retention', { as: keys.viewer })).body.rules).toEqual(rules);
  });

  test('can be planned, those in force without a body and others with one', async () => {
    const plan = (given: object) => api.call('POST', '/v1/retention/plan', { as: keys.viewer, ...given });
    expect(await plan({})).toMatchObject({ status: 200, body: { types: [], partitions: [], keys: 0 } });
    expect(await plan({ body: { rules: [{ types: '*', keepDays: 9 }] } })).toMatchObject({ status: 200 });
    expect(await plan({ body: { rules: [{ types: 'a', keepDays: 9 }] } })).toMatchObject({ status: 400 });
  });
});
