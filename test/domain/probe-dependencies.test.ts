import { expect, test } from 'vitest';
import { circleOf } from '../../domain/probe-dependencies.ts';

const known = new Map([
  ['web', ['api']],
  ['api', ['db', 'cache']],
  ['cache', ['db']],
]);

test.each<[string, string[], string[] | null]>([
  ['db', ['web'], ['db', 'web', 'api', 'db']],
  ['db', ['cache'], ['db', 'cache', 'db']],
  ['db', ['db'], ['db', 'db']],
  ['db', ['mail'], null],
  ['web', ['db', 'cache'], null],
  ['api', [], null],
])('%s that depends on %j closes the circle %j', (probe, dependsOn, circle) => {
  expect(circleOf(probe, dependsOn, known)).toEqual(circle);
});

test('a circle of others is no reason to go round for ever', () => {
  const round = new Map([
    ['a', ['b']],
    ['b', ['a']],
  ]);
  expect(circleOf('c', ['a'], round)).toBeNull();
});
