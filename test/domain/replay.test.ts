import { describe, expect, test } from 'vitest';
import { checkSelection, replayPauseMs, replayText } from '../../domain/replay.ts';

const nowMs = Date.parse('2026-01-02T00:00:00.000Z');

describe('a selection', () => {
  test.each([
    [{ ids: ['evt_1'] }],
    [{ correlationId: 'order-1' }],
    [{ type: 'shop.*' }],
    [{ from: '2026-01-01T00:00:00.000Z' }],
    [{ to: '2026-01-02T00:00:00.000Z' }],
  ])('%j is one', (selection) => {
    expect(checkSelection(selection, nowMs)).toBeNull();
  });

  test.each([
    [{}, 'at least one'],
    [{ from: '2026-01-01T10:00:00.000Z', to: '2026-01-01T09:00:00.000Z' }, 'before it begins'],
    [{ to: '2026-01-02T00:00:00.001Z' }, 'future'],
    [{ from: '2026-01-02T00:00:00.001Z' }, 'future'],
  ])('%j is refused, and why', (selection, why) => {
    expect(checkSelection(selection, nowMs)).toMatchObject({
      refused: 'INVALID',
      message: expect.stringContaining(why),
    });
  });

  test('is the same question in whatever order its ids are named, and another with one more', () => {
    const of = (ids: string[]) => replayText({ subscription: 's', onlyMatching: false, select: { ids } });
    expect(of(['a', 'b'])).toBe(of(['b', 'a', 'b']));
    expect(of(['a', 'b'])).not.toBe(of(['a']));
    expect(replayText({ subscription: 's', onlyMatching: true, select: { ids: ['a', 'b'] } })).not.toBe(
      of(['a', 'b']),
    );
  });
});

test('a run looks again after a second, then less and less often, at least once a minute', () => {
  expect([0, 1, 2, 5, 6, 1_000_000].map(replayPauseMs)).toEqual([
    1_000, 2_000, 4_000, 32_000, 60_000, 60_000,
  ]);
});
