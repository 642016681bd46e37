import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { WeakPoint } from '../../domain/analyzers/issue.ts';
import type { EntityLink } from '../../domain/insight.ts';
import { groupIncidents, isRipe } from '../../domain/incident.ts';
import { propertyRuns } from './runs.ts';

function weak(
  name: string,
  sinceMs?: number,
  needs: string[] = [],
  more: Partial<WeakPoint> = {},
): WeakPoint {
  return {
    ...{ id: `endpoint-health:${name}`, key: name, analyzer: 'endpoint-health' },
    ...{ entityKind: 'probe', entityId: name, entityName: name },
    ...{ severity: 'high', title: 'in trouble', subject: {}, owner: 'prn_1', evidence: [] },
    ...(sinceMs === undefined ? {} : { sinceMs }),
    dependsOn: needs.map((one) => `endpoint:${one}`),
    ...more,
  };
}

/** Each incident as `root: members`. */
function grouped(weakPoints: WeakPoint[], links: EntityLink[] = []): string[] {
  return groupIncidents(weakPoints, links)
    .map(
      ({ root, members }) =>
        `${root.entityName}: ${members
          .map(({ key }) => key)
          .sort()
          .join(' ')}`,
    )
    .sort();
}

const hour = 3_600_000;
const link = (from: string, to: string, weight = 0.9): EntityLink => ({
  ...{ from: `endpoint:${from}`, to: `endpoint:${to}`, kind: 'fails-together', weight },
});

describe('weak points with one cause', () => {
  test.each<[string, WeakPoint[], string[]]>([
    ['none are no incident', [], []],
    ['one alone is its own incident', [weak('a', 0)], ['a: a']],
    ['those far apart in time are two', [weak('a', 0), weak('b', hour)], ['a: a', 'b: b']],
    ['whoever needs another weak one belongs to it', [weak('a', 0, ['db']), weak('db', hour)], ['db: a db']],
    [
      'the deepest one is the root',
      [weak('a', 0, ['b']), weak('b', hour, ['c']), weak('c', 2 * hour)],
      ['c: a b c'],
    ],
    [
      'a dependency that is well is no cause',
      [weak('a', 0, ['db']), weak('b', hour, ['db'])],
      ['a: a', 'b: b'],
    ],
    [
      'those that begin in one moment are one',
      [weak('a', 0), weak('b', 30_000), weak('c', 60_000)],
      ['a: a b c'],
    ],
    [
      'a moment has an end',
      [0, 1, 2, 3, 4, 5, 6].map((at) => weak(`s${at}`, at * 30_000)),
      ['s0: s0 s1 s2 s3 s4', 's5: s5 s6'],
    ],
    [
      'the more began in one moment, the later another one may begin',
      [weak('a', 0), weak('b', 30_000), weak('late', 100_000)],
      ['a: a b late'],
    ],
    ['or the earlier', [weak('early', 0), weak('a', 60_000), weak('b', 65_000)], ['early: a b early']],
    [
      'one alone draws none that comes that much later',
      [weak('a', 0), weak('late', 60_000)],
      ['a: a', 'late: late'],
    ],
    ['without a first sign nothing is guessed', [weak('a'), weak('b')], ['a: a', 'b: b']],
    [
      'findings of different analyzers in one moment are not one for that',
      [weak('a', 0), weak('b', 0, [], { analyzer: 'agent-health', entityKind: 'agent' })],
      ['a: a', 'b: b'],
    ],
    [
      'in a moment, the one that most depend on is the root',
      [weak('a', 0), weak('db', 9000), weak('x', hour, ['db'])],
      ['db: a db x'],
    ],
    [
      'two findings on one entity are one',
      [weak('a', 0), weak('a', hour, [], { key: 'a:slow' })],
      ['a: a a:slow'],
    ],
  ])('%s', (_, weakPoints, expected) => {
    expect(grouped(weakPoints)).toEqual(expected);
  });

  test('entities that failed together before are one incident when they fail within minutes of each other', () => {
    const near = [weak('a', 0), weak('b', 240_000)];
    expect(grouped(near, [link('a', 'b')])).toEqual(['a: a b']);
    expect(grouped(near, [link('a', 'b', 0.3)])).toEqual(['a: a', 'b: b']);
    expect(grouped(near, [{ ...link('a', 'b'), kind: 'resembles' }])).toEqual(['a: a', 'b: b']);
    expect(grouped([weak('a', 0), weak('b', hour)], [link('a', 'b')])).toEqual(['a: a', 'b: b']);
  });

  test('a circle of dependencies is one incident', () => {
    const [incident, ...others] = groupIncidents([weak('a', 0, ['b']), weak('b', 0, ['a'])]);
    expect(others).toEqual([]);
    expect(incident?.members).toHaveLength(2);
  });

  test('an incident says why it is one', () => {
    expect(groupIncidents([weak('a', 0)])[0]?.because).toBe('');
    expect(groupIncidents([weak('a', 0, ['db']), weak('db', hour)])[0]?.because).toBe('they depend on db');
    expect(groupIncidents([weak('a', 0), weak('b', 0)])[0]?.because).toBe('they began in the same moment');
    const linked = groupIncidents([weak('a', 0), weak('b', 200_000)], [link('a', 'b')]);
    expect(linked[0]?.because).toBe('they have failed together before');
  });

  test('an incident is ripe when each first sign is old enough, or unknown', () => {
    const of = (...members: WeakPoint[]): { members: WeakPoint[] } => ({ members });
    expect(isRipe(of(weak('a', 0)), 90_000)).toBe(true);
    expect(isRipe(of(weak('a', 1)), 90_000)).toBe(false);
    expect(isRipe(of(weak('a')), 0)).toBe(true);
    expect(isRipe(of(weak('a', 0), weak('b', 80_000)), 90_000)).toBe(true);
  });
});

describe('any weak points', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const one = fc.record({
    name: fc.constantFrom(...names),
    sinceMs: fc.option(fc.integer({ min: 0, max: 600_000 }), { nil: undefined }),
    needs: fc.subarray(names, { maxLength: 2 }),
  });
  const any = fc
    .uniqueArray(one, { selector: ({ name }) => name })
    .map((all) => all.map(({ name, sinceMs, needs }) => weak(name, sinceMs, needs)));
  const links = fc.array(fc.tuple(fc.constantFrom(...names), fc.constantFrom(...names)), { maxLength: 3 });

  test('each weak point is in exactly one incident, and the root is one of its members', () => {
    fc.assert(
      fc.property(any, links, (weakPoints, pairs) => {
        const incidents = groupIncidents(
          weakPoints,
          pairs.map(([from, to]) => link(from, to)),
        );
        const members = incidents.flatMap((incident) => incident.members);
        expect(members).toHaveLength(weakPoints.length);
        expect(new Set(members)).toEqual(new Set(weakPoints));
        for (const incident of incidents) expect(incident.members).toContain(incident.root);
      }),
      propertyRuns,
    );
  });

  test('the order of weak points without circles does not matter', () => {
    const upwards = any.map((all) =>
      all.map((weakPoint) => ({
        ...weakPoint,
        dependsOn: weakPoint.dependsOn?.filter((need) => need > `endpoint:${weakPoint.entityId}`).slice(0, 1),
      })),
    );
    fc.assert(
      fc.property(upwards, (weakPoints) => {
        expect(grouped(weakPoints.toReversed())).toEqual(grouped(weakPoints));
      }),
      propertyRuns,
    );
  });
});
