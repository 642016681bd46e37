import { describe, expect, test } from 'vitest';
import {
  type Failures,
  failsTogether,
  holdingLinks,
  mostLinks,
  phi,
  resembling,
} from '../../domain/entity-link.ts';
import type { Remembered } from '../../domain/resonance.ts';

const total = 2_016;
const failed = (entity: string, ...buckets: number[]): Failures => ({ entity, buckets });
const every = (count: number, step: number, from = 0) =>
  Array.from({ length: count }, (_, at) => from + at * step);

/** A generator with a seed: the same draws in every run. */
function draws(seed: number) {
  let state = seed;
  return (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe('what fails together', () => {
  test.each<[string, Failures[], number, number[]]>([
    ['the same buckets are a weight of 1', [failed('a', 3, 40, 90), failed('b', 3, 40, 90)], total, [1]],
    ['other buckets are no link', [failed('a', 3, 40, 90), failed('b', 4, 41, 91)], total, []],
    ['two episodes prove nothing', [failed('a', 3, 40, 90), failed('b', 3, 40, 91)], total, []],
    [
      'one long outage is one episode',
      [failed('a', ...every(50, 1)), failed('b', ...every(50, 1))],
      total,
      [],
    ],
    [
      'an episode can cross a word of 32 buckets',
      [failed('a', 31, 32, 60), failed('b', 31, 32, 60)],
      total,
      [],
    ],
    [
      'two that always fail say nothing',
      [failed('a', ...every(96, 1)), failed('b', ...every(96, 1))],
      96,
      [],
    ],
    ['hours too few say nothing', [failed('a', 3, 20, 40), failed('b', 3, 20, 40)], 47, []],
    [
      'buckets outside the window count for nobody',
      [failed('a', -1, 3, 9_999), failed('b', -1, 3, 9_999)],
      total,
      [],
    ],
  ])('%s', (_name, failures, buckets, weights) => {
    expect(failsTogether(failures, buckets).map(({ weight }) => weight)).toEqual(weights);
  });

  test('says how often, and names each pair once in text order', () => {
    const [link] = failsTogether([failed('b', 1, 50, 99, 700), failed('a', 1, 50, 99)], total);
    expect(link).toMatchObject({ from: 'a', to: 'b', kind: 'fails-together' });
    expect(link?.figures).toEqual({ together: 3, episodes: 3, from: 3, to: 4, buckets: total });
  });

  test('of 200 entities that fail alone hardly any are linked; those of one cause all are', () => {
    const draw = draws(7);
    const alone = Array.from({ length: 200 }, (_, at) =>
      failed(`alone:${at}`, ...new Set(Array.from({ length: 5 }, () => draw(total)))),
    );
    const causes = Array.from({ length: 5 }, () => draw(total / 5)).map((at, nth) => at + (nth * total) / 5);
    const shared = Array.from({ length: 6 }, (_, at) =>
      failed(`shared:${at}`, ...new Set([...causes.map(Math.floor), draw(total)])),
    );
    const links = failsTogether([...alone, ...shared], total);
    const pairs = links.filter(({ from, to }) => from.startsWith('shared') && to.startsWith('shared'));
    expect([pairs.length, links.length]).toEqual([15, 15]);
  });

  test('whatever the order of the entities, the links are the same, at most so many, each 0 to 1', () => {
    const draw = draws(11);
    const failures = Array.from({ length: 60 }, (_, at) =>
      failed(`e${at}`, ...every(12, 100, at % 3).filter(() => draw(10) < 9)),
    );
    const links = failsTogether(failures, total);
    expect(links).toEqual(failsTogether([...failures].reverse(), total));
    expect(links.length).toBeGreaterThan(0);
    expect(links.length).toBeLessThanOrEqual(mostLinks);
    for (const { from, to, weight } of links) {
      expect(from < to).toBe(true);
      expect(weight).toBeGreaterThan(0);
      expect(weight).toBeLessThanOrEqual(1);
    }
  });

  test('phi is symmetric and between -1 and 1', () => {
    const draw = draws(3);
    for (let round = 0; round < 500; round += 1) {
      const [one, other] = [draw(101), draw(101)];
      const least = Math.max(0, one + other - 100);
      const both = least + draw(Math.min(one, other) - least + 1);
      const value = phi({ both, one, other, total: 100 });
      expect(Math.abs(value)).toBeLessThanOrEqual(1);
      expect(phi({ both, one: other, other: one, total: 100 })).toBe(value);
    }
  });
});

describe('what resembles', () => {
  const remembered = (entity: string, traits: Record<string, number>): Remembered => ({ entity, traits });
  const unstable = { reliability: 0.2, stability: 0.3 };

  test.each<[string, Remembered[], number]>([
    ['two that moved alike', [remembered('agent:a', unstable), remembered('agent:b', unstable)], 1],
    [
      'two that moved alike, one further',
      [remembered('agent:a', unstable), remembered('agent:b', { reliability: 0.35, stability: 0.4 })],
      1,
    ],
    [
      'two that moved apart do not',
      [remembered('agent:a', unstable), remembered('agent:b', { reliability: 0.8, stability: 0.7 })],
      0,
    ],
    ['two of other kinds do not', [remembered('agent:a', unstable), remembered('squad:b', unstable)], 0],
    [
      'one trait is no likeness',
      [remembered('agent:a', { reliability: 0.1 }), remembered('agent:b', { reliability: 0.1 })],
      0,
    ],
    [
      'a neutral trait is none',
      [
        remembered('agent:a', { ...unstable, stability: 0.5 }),
        remembered('agent:b', { ...unstable, stability: 0.5 }),
      ],
      0,
    ],
  ])('%s', (_name, pair, count) => {
    const links = resembling(pair);
    expect(links).toHaveLength(count);
    expect(resembling([...pair].reverse())).toEqual(links);
    for (const { weight } of links) expect(weight).toBeCloseTo(1);
  });

  test('of many alike the strongest are kept, and no more than so many', () => {
    const many = Array.from({ length: 600 }, (_, at) => remembered(`agent:${at}`, unstable));
    expect(resembling(many)).toHaveLength(mostLinks);
  });
});

test('a new link must be stronger than one that is known has to stay', () => {
  const link = (weight: number) => ({
    ...{ from: 'a', to: 'b', kind: 'fails-together' as const, weight, figures: {} },
  });
  expect(holdingLinks([link(0.55)], () => false)).toEqual([]);
  expect(holdingLinks([link(0.55)], () => true)).toHaveLength(1);
  expect(holdingLinks([link(0.6)], () => false)).toHaveLength(1);
});
