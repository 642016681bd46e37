import { describe, expect, test } from 'vitest';
import { checkRouting } from '../../api/routes/subscription-input.ts';

const match = { types: [], minSeverity: 'info' as const, excludeSourceTypes: [] };
const filtered = (filter: string) => ({ strategy: 'filtered' as const, match: { ...match, filter } });

describe('the filter of a subscription', () => {
  test('is read before it is stored', () => {
    expect(() => checkRouting(filtered('payload.total > 5'))).not.toThrow();
  });

  test('that is none is refused with what is wrong with it, and where', () => {
    expect(() => checkRouting(filtered('payload.total >'))).toThrow(
      /^match\.filter: The filter cannot be used: .+ \(line 1, column 16\)/,
    );
  });
});
