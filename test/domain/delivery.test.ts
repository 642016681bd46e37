import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defaultRetry, isGivenUp, isToldWhenFailed, nextDueMs } from '../../domain/delivery.ts';
import { eventTypes } from '../../domain/events.ts';

describe('the wait after a failed attempt', () => {
  test.each([
    [1, 1_000],
    [2, 2_000],
    [4, 8_000],
    [7, 60_000],
    [5_000, 60_000],
  ])('after attempt %i is at most %i ms, wherever chance puts it', (attempts, longest) => {
    expect(nextDueMs(defaultRetry, attempts, 1)).toBe(longest);
    expect(nextDueMs(defaultRetry, attempts, 0.5)).toBe(longest / 2);
    expect(nextDueMs(defaultRetry, attempts, 0)).toBe(0);
  });

  test('never passes the limit of its policy, and never is negative', () => {
    const policies = fc.record({
      maxAttempts: fc.integer({ min: 1, max: 100 }),
      backoffMs: fc.integer({ min: 0, max: 3_600_000 }),
      maxBackoffMs: fc.integer({ min: 0, max: 86_400_000 }),
    });
    const random = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(policies, fc.integer({ min: 1, max: 10_000 }), random, (policy, attempts, chance) => {
        const ms = nextDueMs(policy, attempts, chance);
        return ms >= 0 && ms <= policy.maxBackoffMs && Number.isInteger(ms);
      }),
    );
  });
});

describe('a delivery', () => {
  test.each([
    [1, false, false],
    [4, false, false],
    [5, false, true],
    [6, false, true],
    [1, true, true],
  ])('with %i failed attempts, the last final: %s, is given up: %s', (attempts, isFinal, expected) => {
    expect(isGivenUp(defaultRetry, attempts, isFinal)).toBe(expected);
  });
});

describe('the failure of an event', () => {
  test.each([
    ['of anybody', { type: 'shop.order.failed', sourceType: 'api' }, true],
    ['that is itself news of a failure', { type: eventTypes.processingFailed, sourceType: 'system' }, false],
    ['of HALO', { type: 'halo.weakpoint.critical', sourceType: 'halo' }, false],
  ] as const)('%s is told: %o %s', (_what, event, expected) => {
    expect(isToldWhenFailed(event)).toBe(expected);
  });
});
