import { describe, expect, test } from 'vitest';
import { diffOutcomes, type Outcome } from '../../domain/shadow.ts';

function anOutcome(key: string, given: Partial<Outcome> = {}): Outcome {
  return { key, kind: 'task', title: `Repair ${key}`, eventIds: [], ...given };
}

describe('a diff of outcomes', () => {
  test('tells what only one rule would do from what both would', () => {
    const diff = diffOutcomes([anOutcome('a'), anOutcome('b')], [anOutcome('b'), anOutcome('c')]);
    expect(diff.onlyBefore.map(({ key }) => key)).toEqual(['a']);
    expect(diff.both.map(({ key }) => key)).toEqual(['b']);
    expect(diff.onlyAfter.map(({ key }) => key)).toEqual(['c']);
    expect(diff.counts).toEqual({ before: 2, after: 2, onlyBefore: 1, onlyAfter: 1, both: 1 });
  });

  test('counts repetitions as one outcome that came about several times, with the events of all', () => {
    const diff = diffOutcomes(
      [anOutcome('a', { eventIds: ['e1'] }), anOutcome('a', { eventIds: ['e1', 'e2'] })],
      [anOutcome('a', { eventIds: ['e3'], title: 'newest' })],
    );
    expect(diff.both).toEqual([
      { ...anOutcome('a', { eventIds: ['e1', 'e2', 'e3'], title: 'newest' }), before: 2, after: 1 },
    ]);
  });

  test('holds the same key of different kinds apart', () => {
    const diff = diffOutcomes([anOutcome('a')], [anOutcome('a', { kind: 'notification' })]);
    expect(diff.counts).toMatchObject({ onlyBefore: 1, onlyAfter: 1, both: 0 });
  });

  test('has the same order whatever the order of the outcomes', () => {
    const outcomes = ['b', 'a', 'c'].map((key) => anOutcome(key));
    expect(diffOutcomes(outcomes, [])).toEqual(diffOutcomes([...outcomes].reverse(), []));
  });
});
