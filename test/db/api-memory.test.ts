import { beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { countMoves } from '../../db/memory.ts';
import { movesOf } from '../../domain/memory.ts';
import { createTestApi, keysOf, type TestApi, type Untyped } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aLoggedEvent } from '../support/events.ts';

let database: TestDatabase;
let keys: Record<keyof People, string>;
let api: TestApi;

beforeAll(async () => {
  database = await openTestDatabase();
  keys = await keysOf(database, await createPeople(database));
  api = createTestApi(database);
});

const call = (method: string, path: string, body?: object) =>
  api.call(method, `/v1/memory${path}`, { as: keys.operator, ...(body === undefined ? {} : { body }) });

/** An endpoint of which so many failures are remembered. */
async function anEndpoint(failures = 1): Promise<string> {
  const sourceId = newId('prb');
  const events = Array.from({ length: failures }, () =>
    aLoggedEvent({ type: 'api.endpoint.failed', sourceId }),
  );
  await countMoves(database.log, events.flatMap(movesOf));
  return `endpoint:${sourceId}`;
}

const genes = (entity: string, given: object = {}) => ({
  ...{ entity, traits: { reliability: 0.7 }, tags: [], parent: null },
  ...given,
});
const auditOf = async (action: string, subjectId: string) =>
  database.root<{ actor: string; body: string }[]>`
    select actor, body from audit_entries where action = ${action} and subject_id = ${subjectId}`;
const eventsOf = async (change: string, subject: string) =>
  database.root`
    select from events where type = 'halo.memory.changed' and payload->>'change' = ${change} and payload->>'subject' = ${subject}`;

describe('records', () => {
  test('are shown with their history, and found by kind, tag and the range of a trait, page by page', async () => {
    const [low, high] = [await anEndpoint(3), await anEndpoint(1)];
    const tag = newId('t').replace('_', '-');
    for (const entity of [low, high])
      expect((await call('PUT', `/${entity}/tags`, { tags: [tag] })).status).toBe(200);
    const { body } = await call('GET', `/${low}`);
    expect(body.record).toMatchObject({
      ...{
        entity: low,
        kind: 'endpoint',
        traits: { reliability: 0.2, latency: 0.65 },
        tags: [tag],
        parent: null,
      },
      dna: `dna1;${low};latency=0.65,reliability=0.2;${tag};`,
    });
    expect(body.history.map((line: Untyped) => line.moves.reliability)).toEqual([
      ...[
        { from: 0.3, to: 0.2 },
        { from: 0.4, to: 0.3 },
        { from: 0.5, to: 0.4 },
      ],
    ]);
    const found = await call('GET', `?tag=${tag}&kind=endpoint&trait=reliability&min=0.3&max=0.45`);
    expect(found.body.items.map(({ entity }: Untyped) => entity)).toEqual([high]);
    expect((await call('GET', `?tag=${tag}&kind=agent`)).body.items).toEqual([]);
    const first = (await call('GET', `?tag=${tag}&limit=1`)).body;
    const second = (await call('GET', `?tag=${tag}&limit=1&cursor=${first.nextCursor}`)).body;
    expect([first, second].map(({ items }) => items[0].entity)).toEqual([low, high].sort());
    expect(second.nextCursor).toBeNull();
  });

  test.each([
    '?min=0.3',
    '?trait=charm',
    '?trait=reliability&min=0.9&max=0.1',
    '?tag=A+B',
    '?kind=robot',
    '?cursor=x',
  ])('%s is no way to ask for them', async (query) => {
    expect((await call('GET', query)).status).toBe(400);
  });

  test('that are not there are unknown, in every operation', async () => {
    for (const [method, path, body] of [
      ['GET', '/agent:nobody'],
      ['PUT', '/agent:nobody/tags', { tags: [] }],
      ['POST', '/agent:child/inherit', { from: 'agent:nobody', reason: 'x' }],
      ['DELETE', '/agent:nobody?reason=x'],
      ['GET', '/robot:x'],
    ] as const)
      expect([method, path, (await call(method, path, body)).status]).toEqual([method, path, 404]);
  });

  test('a change of tags is audited and told, and one with a wrong tag changes nothing', async () => {
    const entity = await anEndpoint();
    const { body } = await call('PUT', `/${entity}/tags`, { tags: ['b', 'a', 'b'] });
    expect(body.tags).toEqual(['a', 'b']);
    expect((await call('PUT', `/${entity}/tags`, { tags: ['c', 'NOT'] })).status).toBe(400);
    expect((await call('GET', `/${entity}`)).body.record.tags).toEqual(['a', 'b']);
    expect(await auditOf('memory.tag', entity)).toHaveLength(1);
    expect(await eventsOf('tag', entity)).toHaveLength(1);
  });
});

test('a child begins with 0.9 of each trait of its parent and a tag, once, and only with one of its kind', async () => {
  const parent = await anEndpoint(2);
  const child = `endpoint:${newId('prb')}`;
  const { status, body } = await call('POST', `/${child}/inherit`, { from: parent, reason: 'twin' });
  expect([status, body]).toMatchObject([
    201,
    { entity: child, traits: { reliability: 0.27, latency: 0.54 }, tags: ['inherited'], parent },
  ]);
  const { history } = (await call('GET', `/${child}`)).body;
  expect(history).toMatchObject([
    { cause: `inherit ${parent}`, moves: { reliability: { from: 0.5, to: 0.27 } } },
  ]);
  expect((await call('POST', `/${child}/inherit`, { from: parent, reason: 'again' })).status).toBe(409);
  expect((await call('POST', `/${child}/inherit`, { from: child, reason: 'x' })).status).toBe(400);
  expect((await call('POST', '/agent:x/inherit', { from: parent, reason: 'x' })).status).toBe(400);
  expect(await auditOf('memory.inherit', child)).toHaveLength(1);
});

test('what is forgotten is gone with its history, with a reason in the audit, and is not counted again', async () => {
  const event = aLoggedEvent({ type: 'api.endpoint.failed', sourceId: newId('prb') });
  const entity = `endpoint:${event.sourceId}`;
  await countMoves(database.log, movesOf(event));
  expect((await call('DELETE', `/${entity}`)).status).toBe(400);
  expect((await call('DELETE', `/${entity}?reason=replaced`)).body).toEqual({ entity, forgotten: true });
  expect((await call('GET', `/${entity}`)).status).toBe(404);
  expect(await database.root`select from memory_history where entity = ${entity}`).toHaveLength(0);
  expect((await auditOf('memory.forget', entity))[0]?.body).toContain('replaced');
  expect(await countMoves(database.log, movesOf(event))).toEqual({ counted: 0 });
  expect((await call('GET', `/${entity}`)).status).toBe(404);
});

describe('an import', () => {
  const load = (records: unknown[], more: object = {}, query = '') =>
    call('POST', `/import${query}`, { records, reason: 'test', ...more });

  test('takes what an export gave, also as trait strings, and finds it the same the next time', async () => {
    const tag = newId('t').replace('_', '-');
    const made = [0.1, 0.25].map((reliability) =>
      genes(`agent:${newId('agt')}`, { traits: { reliability }, tags: [tag] }),
    );
    expect((await load(made)).body.created).toHaveLength(2);
    const exported = (await call('GET', `/export?tag=${tag}`)).body;
    expect(exported).toEqual({
      records: [...made].sort((a, b) => (a.entity < b.entity ? -1 : 1)),
      nextCursor: null,
    });
    expect((await load(exported.records)).body).toMatchObject({
      created: [],
      same: expect.any(Array) as unknown,
    });
    for (const { entity } of made) await call('DELETE', `/${entity}?reason=x`);
    const dna = made.map(({ entity, traits }) => `dna1;${entity};reliability=${traits.reliability};${tag};`);
    expect((await load(dna)).status).toBe(200);
    expect((await call('GET', `/export?tag=${tag}`)).body).toEqual(exported);
    expect((await call('GET', `/${made[0]?.entity}`)).body.history).toMatchObject([{ cause: 'import' }]);
  });

  test('with a conflict writes nothing and names it, unless records may be replaced as a whole', async () => {
    const there = await anEndpoint();
    const fresh = `endpoint:${newId('prb')}`;
    const records = [genes(fresh), genes(there)];
    const refused = await load(records);
    expect([refused.status, refused.body.details]).toEqual([409, { conflicts: [there] }]);
    expect((await call('GET', `/${fresh}`)).status).toBe(404);
    const { body } = await load(records, { replace: true });
    expect(body).toEqual({ preview: false, created: [fresh], replaced: [there], same: [], conflicts: [] });
    expect((await call('GET', `/${there}`)).body.record.traits).toEqual({ reliability: 0.7 });
  });

  test('with preview says the same and writes nothing', async () => {
    const there = await anEndpoint();
    const fresh = `endpoint:${newId('prb')}`;
    const { status, body } = await load([genes(fresh), genes(there)], {}, '?preview=true');
    expect([status, body]).toEqual([
      200,
      { preview: true, created: [fresh], replaced: [], same: [], conflicts: [there] },
    ]);
    expect((await call('GET', `/${fresh}`)).status).toBe(404);
  });

  test.each([
    [{ traits: { charm: 0.5 } }],
    [{ traits: { reliability: 1.5 } }],
    [{ tags: ['NOT'] }],
    [{ entity: 'robot:x' }],
    [{ history: [] }],
    ['dna1;agent:x;charm=0.5;;'],
    ['dna1;agent:x;;'],
  ])('with one wrong record (%j) writes none', async (wrong) => {
    const good = `agent:${newId('agt')}`;
    const bad = typeof wrong === 'string' ? wrong : genes(`agent:${newId('agt')}`, wrong);
    expect((await load([genes(good), bad])).status).toBe(400);
    expect((await call('GET', `/${good}`)).status).toBe(404);
  });

  test('of two at once that make the same record, one is whole and the other nothing', async () => {
    const entity = `agent:${newId('agt')}`;
    const [left, right] = [`agent:${newId('agt')}`, `agent:${newId('agt')}`];
    const answers = await Promise.all([
      load([genes(left), genes(entity, { tags: ['left'] })]),
      load([genes(right), genes(entity, { tags: ['right'] })]),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    const winner = answers[0]?.status === 200 ? 'left' : 'right';
    expect((await call('GET', `/${entity}`)).body.record.tags).toEqual([winner]);
    expect((await call('GET', `/${winner === 'left' ? right : left}`)).status).toBe(404);
  });
});
