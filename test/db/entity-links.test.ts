import { beforeEach, describe, expect, test } from 'vitest';
import { knownLinks, linksAmong, listLinks } from '../../db/entity-links.ts';
import { recordResonance } from '../../db/insights.ts';
import type { FoundLink } from '../../domain/entity-link.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { aLearningCycle } from '../support/resonance.ts';

let database: TestDatabase;

// What a cycle leaves is all there is: each test has links of its own.
beforeEach(async () => {
  database = await openTestDatabase(4);
});

const link = (from: string, to: string, weight = 0.8, kind: FoundLink['kind'] = 'fails-together') => ({
  ...{ from, to, kind, weight, figures: { together: 3 } },
});
async function record(...links: FoundLink[]): Promise<string> {
  const cycleId = await aLearningCycle(database);
  await recordResonance(database.db, { cycleId, found: [], links });
  return cycleId;
}
const all = () => listLinks(database.db, {}, null, 2_000);
const brief = async () => (await all()).map(({ from, to, weight }) => [from, to, weight]);

describe('the links of a cycle', () => {
  test('are all that there are: the new ones, the moved ones, and none that it did not find', async () => {
    const first = await record(link('a', 'b', 0.9), link('b', 'c', 0.7), link('a', 'b', 0.95, 'resembles'));
    const second = await record(link('b', 'c', 0.75), link('c', 'd', 0.6));
    expect(await all()).toMatchObject([
      { from: 'b', to: 'c', kind: 'fails-together', weight: 0.75, foundBy: first, figures: { together: 3 } },
      { from: 'c', to: 'd', kind: 'fails-together', weight: 0.6, foundBy: second },
    ]);
    await record();
    expect(await all()).toEqual([]);
  });

  test('may be 500 of each kind, between entities of any characters', async () => {
    const odd = `squad:'"\\{}?%\u{1F980}`;
    const many = (kind: FoundLink['kind']) =>
      Array.from({ length: 500 }, (_, at) => link(`${odd}${1_000 + at}`, `${odd}x`, at / 500, kind));
    await record(...many('fails-together'), ...many('resembles'));
    expect(await all()).toHaveLength(1_000);
    const [strongest] = await listLinks(database.db, { entity: `${odd}1499`, kind: 'resembles' }, null, 5);
    expect(strongest).toMatchObject({ from: `${odd}1499`, to: `${odd}x`, weight: 499 / 500 });
    const isKnown = await knownLinks(database.db);
    expect(isKnown(link(`${odd}1000`, `${odd}x`))).toBe(true);
    expect(isKnown(link(`${odd}x`, `${odd}1000`))).toBe(false);
  });

  test('written again by the same cycle stay as its first answer left them', async () => {
    const cycleId = await record(link('a', 'b', 0.9));
    await recordResonance(database.db, { cycleId, found: [], links: [link('c', 'd')] });
    expect(await brief()).toEqual([['a', 'b', 0.9]]);
  });

  test('of a cycle that does not exist are not written', async () => {
    const lost = { cycleId: 'cyc_none', found: [], links: [link('a', 'b')] };
    await expect(recordResonance(database.db, lost)).rejects.toThrow('cyc_none');
    expect(await all()).toEqual([]);
  });
});

test('a page begins behind the last link of the one before, also among links of one weight', async () => {
  await record(
    link('a', 'b', 0.1 + 0.2),
    ...['c', 'd', 'e'].map((to) => link('b', to, 2 / 3)),
    link('b', 'c', 2 / 3, 'resembles'),
  );
  const seen: string[] = [];
  let after: Parameters<typeof listLinks>[2] = null;
  for (;;) {
    const [row] = await listLinks(database.db, {}, after, 1);
    if (row === undefined) break;
    seen.push(`${row.from}${row.to} ${row.kind}`);
    after = { weight: row.weight, from: row.from, to: row.to, kind: row.kind };
  }
  expect(seen).toEqual([
    ...['bc fails-together', 'bc resembles', 'bd fails-together', 'be fails-together', 'ab fails-together'],
  ]);
});

test('links among entities have both ends there, the strongest first', async () => {
  await record(link('a', 'b', 0.7), link('a', 'c', 0.9), link('b', 'c', 0.8), link('c', 'd', 1));
  const among = async (entities: string[], limit = 10) =>
    (await linksAmong(database.db, entities, limit)).map(({ from, to }) => from + to);
  expect(await among(['c', 'b', 'a'])).toEqual(['ac', 'bc', 'ab']);
  expect(await among(['a', 'b', 'c'], 1)).toEqual(['ac']);
  expect(await among(['a'])).toEqual([]);
  expect(await among([])).toEqual([]);
});
