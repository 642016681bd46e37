import { describe, expect, test } from 'vitest';
import { cutPage, decodeCursor, encodeCursor, idPlace, logPlace, timePlace } from '../../api/paging.ts';

const encode = (text: string): string => Buffer.from(text).toString('base64url');

describe('a cursor', () => {
  test('leads back to its place', () => {
    expect(decodeCursor(encodeCursor({ id: 'tsk_1' }), idPlace)).toEqual({ id: 'tsk_1' });
    expect(decodeCursor(encodeCursor({ at: 5, id: 'tsk_1' }), timePlace)).toEqual({
      at: new Date(5),
      id: 'tsk_1',
    });
    expect(decodeCursor(undefined, idPlace)).toBeNull();
  });

  test.each([
    ['no text at all', ''],
    ['no base64', '%%%'],
    ['no JSON', encode('hello')],
    ['a NUL', encode('{"tx":"1\\u0000","seq":"1"}')],
    ['a number too large for the database', encode('{"tx":"18446744073709551616","seq":"1"}')],
    ['a sequence too large for the database', encode('{"tx":"1","seq":"9223372036854775808"}')],
    ['a negative number', encode('{"tx":"-1","seq":"1"}')],
    ['a place of another list', encode('{"id":"tsk_1"}')],
    ['a member too many', encode('{"tx":"1","seq":"1","x":1}')],
  ])('with %s is refused', (_what, text) => {
    expect(() => decodeCursor(text, logPlace)).toThrow(/cursor/);
  });

  test('with a time that is none is refused', () => {
    expect(() => decodeCursor(encode('{"at":1e300,"id":"tsk_1"}'), timePlace)).toThrow(/cursor/);
  });
});

describe('a page', () => {
  const placeOf = (id: string) => ({ id });
  test('has a next one only when a row more was found', () => {
    expect(cutPage(['a', 'b'], 2, placeOf)).toEqual({ rows: ['a', 'b'], nextCursor: null });
    const cut = cutPage(['a', 'b', 'c'], 2, placeOf);
    expect(cut.rows).toEqual(['a', 'b']);
    expect(decodeCursor(cut.nextCursor ?? '', idPlace)).toEqual({ id: 'b' });
  });
});
