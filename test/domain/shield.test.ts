import { describe, expect, test } from 'vitest';
import { crosses, isTold, shieldRules, signals, threatKinds } from '../../domain/shield.ts';

describe('the rules of Shield', () => {
  test('have each kind of threat once, and a rule for each signal', () => {
    expect(shieldRules.map(({ kind }) => kind).sort()).toEqual([...threatKinds].sort());
    expect(new Set(shieldRules.map(({ signal }) => signal))).toEqual(new Set(signals));
  });

  test('block for a time only, and never the system', () => {
    for (const { kind, subject, blockMs, windowMs, threshold } of shieldRules) {
      expect(windowMs, kind).toBeGreaterThan(0);
      expect(threshold, kind).toBeGreaterThan(1);
      if (blockMs !== null) expect(blockMs, kind).toBeLessThanOrEqual(3_600_000);
      if (subject === 'system') expect(blockMs, kind).toBeNull();
    }
  });

  test.each(shieldRules)('$kind is raised at its threshold and at each multiple, not between', (rule) => {
    const raised = Array.from({ length: rule.threshold * 3 + 1 }, (_, count) => count).filter((count) =>
      crosses(rule, count),
    );
    expect(raised).toEqual([rule.threshold, rule.threshold * 2, rule.threshold * 3]);
  });

  test('tell of a flood of signals in a handful of events', () => {
    const told = Array.from({ length: 100_000 }, (_, at) => at + 1).filter(isTold);
    expect(told).toEqual([1, 10, 100, 1000, 10_000, 100_000]);
  });
});
