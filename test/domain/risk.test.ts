import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { highRiskScore, type RiskSignals, riskScore } from '../../domain/risk.ts';

const calm: RiskSignals = {
  failedLogins: 0,
  denials: 0,
  refusals: 0,
  activeThreats: { warning: 0, error: 0, critical: 0 },
  ageDays: 100,
};
const threats = (more: Partial<RiskSignals['activeThreats']>) => ({
  activeThreats: { ...calm.activeThreats, ...more },
});

describe('the risk score', () => {
  test.each<[string, Partial<RiskSignals>, number]>([
    ['nothing happened', {}, 0],
    ['it came today', { ageDays: 0 }, 10],
    ['it came half a week ago', { ageDays: 3.5 }, 5],
    ['three failed logins', { failedLogins: 3 }, 6],
    ['any number of failed logins', { failedLogins: 100_000 }, 30],
    ['five denials', { denials: 5 }, 5],
    ['any number of denials', { denials: 1_000 }, 20],
    ['any number of refusals', { refusals: 1_000 }, 10],
    ['one threat that is a warning', threats({ warning: 1 }), 15],
    ['one that is an error', threats({ error: 1 }), 35],
    ['one that is critical', threats({ critical: 1 }), 60],
    ['two that are critical', threats({ critical: 2 }), 90],
    ['a critical threat and many denials', { ...threats({ critical: 1 }), denials: 50 }, 80],
    ['everything at once', { ...threats({ critical: 9, error: 9, warning: 9 }), failedLogins: 99 }, 100],
  ])('where %s', (_what, given, score) => {
    expect(riskScore({ ...calm, ...given })).toBe(score);
  });

  test('of a person cannot be driven over the line by others: failed logins alone stay below it', () => {
    expect(riskScore({ ...calm, failedLogins: Number.MAX_SAFE_INTEGER, ageDays: 0 })).toBeLessThan(
      highRiskScore,
    );
  });

  test('is always 0 to 100, and never falls when something is added', () => {
    const count = fc.nat({ max: 1_000_000 });
    const any = fc.record({
      failedLogins: count,
      denials: count,
      refusals: count,
      activeThreats: fc.record({ warning: count, error: count, critical: count }),
      ageDays: fc.double({ min: 0, max: 10_000, noNaN: true }),
    });
    fc.assert(
      fc.property(any, fc.constantFrom('failedLogins', 'denials', 'refusals'), (signals, name) => {
        const score = riskScore(signals);
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(100);
        expect(riskScore({ ...signals, [name]: signals[name] + 1 })).toBeGreaterThanOrEqual(score);
      }),
    );
  });
});
