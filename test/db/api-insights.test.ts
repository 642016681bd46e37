import { beforeAll, describe, expect, test } from 'vitest';
import { recordIssues } from '../../db/halo.ts';
import { recordResonance } from '../../db/insights.ts';
import type { FoundLink } from '../../domain/entity-link.ts';
import type { FoundInsight } from '../../domain/resonance.ts';
import { createTestApi, keysOf, type TestApi, type Untyped } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aLearningCycle } from '../support/resonance.ts';

let database: TestDatabase;
let keys: Record<keyof People, string>;
let api: TestApi;
let cycles: string[];

const odd = "endpoint:it's & 50%";
const about = (entity: string): FoundInsight => ({
  ...{ key: `agent-unreliable|${entity}`, pattern: 'agent-unreliable', severity: 'medium', title: entity },
  ...{ entities: [entity], suggestedActions: ['Look.'], figures: { reliability: 0.3 } },
});
const unreliable: FoundInsight = {
  ...{
    key: 'endpoints-unreliable',
    pattern: 'endpoints-unreliable',
    severity: 'high',
    title: 'two endpoints',
  },
  ...{ entities: [odd, 'endpoint:prb_2'], suggestedActions: ['Look.'], figures: { endpoints: 2 } },
};
const link = (from: string, to: string, weight: number, kind: FoundLink['kind'] = 'fails-together') => ({
  ...{ from, to, kind, weight, figures: { episodes: 3 } },
});

/** Three cycles: the first finds all, the last no longer finds agent:gone. */
beforeAll(async () => {
  database = await openTestDatabase();
  keys = await keysOf(database, await createPeople(database));
  api = createTestApi(database);
  cycles = [];
  const links = [
    link('agent:a', 'agent:b', 0.1 + 0.7),
    link('agent:a', 'agent:c', 0.1 + 0.7),
    link('agent:b', 'agent:c', 0.95, 'resembles'),
    link(odd, 'endpoint:prb_2', 0.6),
  ];
  for (const found of [
    [about('agent:gone')],
    [about('agent:a'), unreliable],
    [about('agent:a'), unreliable],
  ]) {
    const cycleId = await aLearningCycle(database);
    await recordResonance(database.db, { cycleId, found, links });
    cycles.push(cycleId);
  }
});

const get = (path: string, as = keys.viewer) => api.call('GET', `/v1${path}`, { as });
const titles = async (query: string): Promise<string[]> =>
  (await get(`/insights${query}`)).body.items.map(({ title }: Untyped) => title).sort();

async function pages(path: string): Promise<Untyped[]> {
  const items: Untyped[] = [];
  for (let cursor = ''; ;) {
    const { status, body } = await get(`${path}${path.includes('?') ? '&' : '?'}limit=1${cursor}`);
    expect([status, body.items.length]).toEqual([200, 1]);
    items.push(body.items[0]);
    if (body.nextCursor === null) return items;
    cursor = `&cursor=${body.nextCursor}`;
  }
}

describe('insights', () => {
  test('are those that hold, unless those that ended are asked for', async () => {
    expect(await titles('')).toEqual(['agent:a', 'two endpoints']);
    expect(await titles('?state=ended')).toEqual(['agent:gone']);
    expect(await titles('?state=any')).toEqual(['agent:a', 'agent:gone', 'two endpoints']);
  });

  test('are found by pattern and by an entity of any characters', async () => {
    expect(await titles('?pattern=endpoints-unreliable')).toEqual(['two endpoints']);
    expect(await titles(`?entity=${encodeURIComponent(odd)}`)).toEqual(['two endpoints']);
    expect(await titles('?entity=agent:nobody')).toEqual([]);
    expect(await titles('?entity=agent:gone')).toEqual([]);
  });

  test('come newest first, each once over all pages', async () => {
    const items = await pages('/insights?state=any');
    expect(items.map(({ title }) => title).sort()).toEqual(['agent:a', 'agent:gone', 'two endpoints']);
    expect(items.at(-1)?.title).toBe('agent:gone');
  });

  test('one is shown with what shows it, what to do, and the cycles that it changed', async () => {
    const [listed] = (await get('/insights?pattern=endpoints-unreliable')).body.items;
    const cycleId = await aLearningCycle(database);
    await recordIssues(database.db, { cycleId, issues: [], weakPoints: [], insightsUsed: [listed.id] });
    const { status, body } = await get(`/insights/${listed.id}`);
    expect([status, body]).toMatchObject([
      200,
      {
        ...{ ...listed, entities: unreliable.entities, figures: { endpoints: 2 }, endedAt: null },
        ...{ foundBy: cycles[1], lastSeenBy: cycles[2] },
        usedBy: [{ id: cycleId, mode: 'full', state: 'planning' }],
      },
    ]);
    expect(body).not.toHaveProperty('key');
  });

  test('one that is not on record is unknown, and says how many are kept', async () => {
    const { status, body } = await get('/insights/ins_nothing');
    expect([status, body.detail]).toMatchObject([404, expect.stringContaining('100')]);
  });
});

describe('links', () => {
  const brief = (items: Untyped[]) => items.map(({ from, to, kind }) => [from, to, kind]);

  test('come the strongest first, each once over all pages, also where weights are equal', async () => {
    expect(brief(await pages('/links'))).toEqual([
      ['agent:b', 'agent:c', 'resembles'],
      ['agent:a', 'agent:b', 'fails-together'],
      ['agent:a', 'agent:c', 'fails-together'],
      [odd, 'endpoint:prb_2', 'fails-together'],
    ]);
  });

  test('are found by either end and by kind', async () => {
    expect(brief((await get('/links?entity=agent:c')).body.items)).toHaveLength(2);
    expect(brief((await get('/links?entity=agent:c&kind=resembles')).body.items)).toEqual([
      ['agent:b', 'agent:c', 'resembles'],
    ]);
    const { items } = (await get(`/links?entity=${encodeURIComponent(odd)}`)).body;
    expect(items).toMatchObject([{ weight: 0.6, figures: { episodes: 3 }, foundBy: cycles[0] }]);
  });
});

test.each([
  ...[
    '/insights?state=closed',
    '/insights?pattern=charm',
    '/insights?entity=robot:x',
    '/insights?entity=agent',
  ],
  ...['/insights?limit=0', '/insights?cursor=x', '/insights?kind=resembles', '/links?kind=charm'],
  ...['/links?entity=nobody', '/links?cursor=x', '/links?limit=100000'],
])('%s is refused, and says why', async (path) => {
  const { status, body } = await get(path);
  expect([status, typeof body.detail]).toEqual([400, 'string']);
});

test('a cursor of one list is none of the other', async () => {
  const { nextCursor } = (await get('/links?limit=1')).body;
  expect((await get(`/insights?cursor=${nextCursor}`)).status).toBe(400);
  const other = (await get('/insights?limit=1')).body.nextCursor;
  expect((await get(`/links?cursor=${other}`)).status).toBe(400);
});

test('without a key nobody reads what HALO has learned', async () => {
  for (const path of ['/v1/insights', '/v1/insights/ins_1', '/v1/links'])
    expect((await api.call('GET', path)).status).toBe(401);
});

// The last of this file: it leaves other links.
test('links of entities with the longest ids have pages like others', async () => {
  const long = (end: string) => `endpoint:${'\u{1F980}"'.repeat(66)}${end}`;
  const cycleId = await aLearningCycle(database);
  const links = [link(long('a'), long('b'), 1), link(long('a'), long('c'), 1)];
  await recordResonance(database.db, { cycleId, found: [about('agent:a'), unreliable], links });
  expect((await pages('/links')).map(({ to }) => to)).toEqual([long('b'), long('c')]);
  expect(await pages(`/links?entity=${encodeURIComponent(long('c'))}`)).toHaveLength(1);
});
