import { describe, expect, test } from 'vitest';
import type { EntityLink } from '../../domain/insight.ts';
import { insightsOf, type Remembered, settleInsights } from '../../domain/resonance.ts';

const reliable = (entity: string, reliability: number): Remembered => ({ entity, traits: { reliability } });
const popular = (entity: string, popularity: number): Remembered => ({ entity, traits: { popularity } });
const together = (from: string, to: string, weight = 0.9): EntityLink => ({
  ...{ from, to, kind: 'fails-together', weight },
});
const brief = (remembered: Remembered[], links: EntityLink[] = []) =>
  insightsOf(remembered, links).map(({ pattern, severity, entities }) => [pattern, severity, entities]);

describe('insights of traits (LEDGER 1.2)', () => {
  test.each<[string, Remembered[], unknown[]]>([
    ['one unreliable endpoint is none', [reliable('endpoint:a', 0.1)], []],
    [
      'two are a high one, the worst first',
      [reliable('endpoint:a', 0.39), reliable('endpoint:b', 0.1), reliable('endpoint:c', 0.4)],
      [['endpoints-unreliable', 'high', ['endpoint:b', 'endpoint:a']]],
    ],
    [
      'at the bound an endpoint is not unreliable',
      [reliable('endpoint:a', 0.4), reliable('endpoint:b', 0.4)],
      [],
    ],
    [
      'an agent below 0.45 is a medium one',
      [reliable('agent:a', 0.44)],
      [['agent-unreliable', 'medium', ['agent:a']]],
    ],
    ['an agent at 0.45 is none', [reliable('agent:a', 0.45)], []],
    ['a squad above 0.75 is a low one', [reliable('squad:a', 0.76)], [['squad-strong', 'low', ['squad:a']]]],
    ['a squad at 0.75 is none', [reliable('squad:a', 0.75)], []],
    [
      'a popular spore is a medium one',
      [popular('spore:a', 0.71)],
      [['spore-popular', 'medium', ['spore:a']]],
    ],
    ['a spore at 0.7 is none', [popular('spore:a', 0.7)], []],
    ['a trait of another kind is none', [popular('agent:a', 0.9), reliable('spore:a', 0.1)], []],
  ])('%s', (_name, remembered, wanted) => {
    expect(brief(remembered)).toEqual(wanted);
  });

  test('come gravest first, 100 at most', () => {
    const agents = Array.from({ length: 150 }, (_, at) => reliable(`agent:${at}`, 0.1));
    const found = insightsOf([
      reliable('squad:s', 1),
      ...agents,
      reliable('endpoint:a', 0),
      reliable('endpoint:b', 0),
    ]);
    expect(found).toHaveLength(100);
    expect(found[0]).toMatchObject({ severity: 'high', figures: { endpoints: 2, worstReliability: 0 } });
    expect(new Set(found.slice(1).map(({ severity }) => severity))).toEqual(new Set(['medium']));
  });

  test('names 200 entities at most, and says how many there are', () => {
    const [found] = insightsOf(Array.from({ length: 300 }, (_, at) => reliable(`endpoint:${at}`, 0.1)));
    expect([found?.entities.length, found?.figures.endpoints]).toEqual([200, 300]);
  });

  test('strong links make one insight for each group that they join, weak ones none', () => {
    const links = [
      ...[together('endpoint:a', 'endpoint:b'), together('endpoint:b', 'endpoint:c', 0.85)],
      ...[together('agent:x', 'agent:y'), together('endpoint:c', 'agent:x', 0.79)],
      { ...together('spore:a', 'spore:b', 1), kind: 'resembles' as const },
    ];
    expect(brief([], links)).toEqual([
      ['fails-together', 'medium', ['agent:x', 'agent:y']],
      ['fails-together', 'medium', ['endpoint:a', 'endpoint:b', 'endpoint:c']],
    ]);
  });
});

describe('what becomes of insights on record', () => {
  const found = (...names: string[]) => insightsOf(names.map((name) => reliable(`agent:${name}`, 0.1)));
  const known = (id: string, name: string, isOpen = true) => ({
    id,
    key: `agent-unreliable|agent:${name}`,
    isOpen,
  });

  test('one that still holds keeps its id, one that does not ends, one that came back is a new one', () => {
    const settled = settleInsights(
      [known('1', 'a'), known('2', 'b'), known('3', 'c', false)],
      found('a', 'c'),
    );
    expect(settled.held.map(({ id, key }) => [id, key])).toEqual([['1', 'agent-unreliable|agent:a']]);
    expect(settled.fresh.map(({ entities }) => entities)).toEqual([['agent:c']]);
    expect([settled.ended, settled.dropped]).toEqual([['2'], []]);
  });

  test('beyond what is kept the ones that ended first are forgotten, and never one that holds', () => {
    const record = [known('1', 'a'), known('2', 'b'), known('3', 'c', false), known('4', 'd', false)];
    expect(settleInsights(record, found('a'), 3)).toMatchObject({ ended: ['2'], dropped: ['4'] });
    expect(settleInsights(record, found('a'), 1)).toMatchObject({ ended: [], dropped: ['2', '3', '4'] });
    expect(settleInsights(record, found('a'), 1).held).toHaveLength(1);
  });

  test('whatever is known and found, none is both kept and forgotten, and no more are left than are kept', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const pick = (n: number, of: number) => (seed * 7919 * (n + 1)) % of;
      const names = [...new Set(Array.from({ length: pick(1, 6) }, (_, at) => `n${pick(at + 2, 9)}`))];
      const openNames = [...new Set(Array.from({ length: pick(2, 8) }, (_, at) => `n${pick(at + 5, 9)}`))];
      const record = [
        ...openNames.map((name, at) => known(`o${at}`, name)),
        ...Array.from({ length: pick(3, 9) }, (_, at) => known(`e${at}`, `n${at}`, false)),
      ];
      const { fresh, held, ended, dropped } = settleInsights(record, found(...names), 8);
      expect(new Set([...held.map(({ id }) => id), ...ended, ...dropped]).size).toBe(
        held.length + ended.length + dropped.length,
      );
      expect(fresh.length + held.length).toBe(names.length);
      expect(record.length + fresh.length - dropped.length).toBeLessThanOrEqual(8);
    }
  });
});
