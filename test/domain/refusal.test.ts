import { describe, expect, test } from 'vitest';
import { DomainError, isRefusal, refusalCodes, refuse } from '../../domain/refusal.ts';

describe('refusals', () => {
  test.each(refusalCodes)('%s travels through code that can only throw and arrives as it was', (code) => {
    const refusal = refuse(code, 'no', { a: 1 });
    const error = new DomainError(refusal);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'DomainError', code, message: 'no', details: { a: 1 } });
    expect(error.toRefusal()).toEqual(refusal);
  });

  test('without details there is no such member', () => {
    expect(refuse('LIMIT', 'no')).toEqual({ refused: 'LIMIT', message: 'no' });
    expect('details' in new DomainError(refuse('LIMIT', 'no')).toRefusal()).toBe(false);
  });

  test.each([
    [refuse('INVALID', 'x'), true],
    [{ accepted: false, ...refuse('INVALID', 'x') }, true],
    [{ state: 'approved' }, false],
    [null, false],
    [undefined, false],
    ['refused', false],
    [['refused'], false],
  ])('%o: %s', (value, expected) => {
    expect(isRefusal(value)).toBe(expected);
  });
});
