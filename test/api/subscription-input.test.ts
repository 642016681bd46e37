import { describe, expect, test } from 'vitest';
import { checkRouting, type CompileFilter } from '../../api/routes/subscription-input.ts';
import { refuse } from '../../domain/refusal.ts';

const match = { types: [], minSeverity: 'info' as const, excludeSourceTypes: [] };
const filtered = { strategy: 'filtered' as const, match: { ...match, filter: 'payload.total > 5' } };

describe('the filter of a subscription', () => {
  test('is read before it is stored', () => {
    const read: string[] = [];
    const compile: CompileFilter = (text) => {
      read.push(text);
      return { matches: () => true };
    };
    expect(() => checkRouting(filtered, compile)).not.toThrow();
    expect(read).toEqual(['payload.total > 5']);
  });

  test('that is none is refused with what is wrong with it', () => {
    const compile: CompileFilter = () => refuse('INVALID', 'unexpected end at 1:3');
    expect(() => checkRouting(filtered, compile)).toThrow('match.filter: unexpected end at 1:3');
  });
});
