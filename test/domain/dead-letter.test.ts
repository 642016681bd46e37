import { describe, expect, test } from 'vitest';
import { defaultGrowthLimits, describeGrowth, type Growth, judgeGrowth } from '../../domain/dead-letter.ts';

const limits = { open: 100, growth: 25, cooldownMs: 3_600_000 };
const quiet = { isRaised: false, sinceRaisedMs: null };
const raised = { isRaised: true, sinceRaisedMs: 1_000 };

describe('an alert over dead letters', () => {
  test('has the limits of the ledger by default', () => {
    expect(defaultGrowthLimits).toEqual(limits);
  });

  test.each<[string, Growth, 'raise' | 'clear' | null]>([
    ['none', { open: 0, grown: 0, ...quiet }, null],
    ['as many as are allowed', { open: 100, grown: 25, ...quiet }, null],
    ['one too many', { open: 101, grown: 0, ...quiet }, 'raise'],
    ['one too many in ten minutes', { open: 26, grown: 26, ...quiet }, 'raise'],
    ['too many, just told', { open: 5_000, grown: 5_000, ...raised }, null],
    [
      'too many, told an hour ago',
      { open: 101, grown: 0, isRaised: true, sinceRaisedMs: 3_600_000 },
      'raise',
    ],
    ['too many again, just cleared', { open: 101, grown: 0, isRaised: false, sinceRaisedMs: 1_000 }, null],
    ['fewer, but not half', { open: 50, grown: 0, ...raised }, null],
    ['below half', { open: 49, grown: 0, ...raised }, 'clear'],
    ['below half, but still growing', { open: 49, grown: 13, ...raised }, null],
    ['below half, told long ago', { open: 0, grown: 0, isRaised: true, sinceRaisedMs: 9e9 }, 'clear'],
    ['below half and cleared', { open: 0, grown: 0, isRaised: false, sinceRaisedMs: 1_000 }, null],
  ])('%s', (_what, growth, verdict) => {
    expect(judgeGrowth(growth, limits)).toBe(verdict);
  });

  test('says the counts and the limits', () => {
    expect(describeGrowth({ open: 137, grown: 41 }, limits)).toBe(
      '137 open (limit 100), 41 of them in 10 minutes (limit 25)',
    );
  });
});
