import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonical, isDeeperThan, type Json, storable } from '../../domain/json.ts';
import { propertyRuns } from './runs.ts';

/** JSON as it is after one trip through text: what the system really holds. */
const anyJson = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as Json);

function shuffled(value: Json): Json {
  if (Array.isArray(value)) return value.map(shuffled);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, shuffled(member)]),
  );
}

describe('canonical', () => {
  test.each<[string, Json, string]>([
    ['null', null, 'null'],
    ['a number', 1.5, '1.5'],
    ['a text with quotes', 'say "hi"\n', '"say \\"hi\\"\\n"'],
    ['an empty object', {}, '{}'],
    ['an empty list', [], '[]'],
    ['keys in another order', { b: 1, a: 2 }, '{"a":2,"b":1}'],
    ['keys that look like numbers', { '10': 1, '9': 2 }, '{"10":1,"9":2}'],
    ['upper and lower case', { a: 1, B: 2 }, '{"B":2,"a":1}'],
    ['nested objects', { z: { y: 1, x: [{ d: 1, c: 2 }] } }, '{"z":{"x":[{"c":2,"d":1}],"y":1}}'],
    ['a list keeps its order', [3, 1, 2], '[3,1,2]'],
  ])('%s', (_what, value, text) => {
    expect(canonical(value)).toBe(text);
  });

  test('a member without a value is written as null, so that it cannot hide from a digest', () => {
    expect(canonical({ a: undefined } as unknown as Json)).toBe('{"a":null}');
  });

  test('what is written can be read back as it was', () => {
    fc.assert(
      fc.property(anyJson, (value) => {
        expect(JSON.parse(canonical(value))).toEqual(value);
      }),
      propertyRuns,
    );
  });

  test('the order of keys makes no difference at any depth', () => {
    fc.assert(
      fc.property(anyJson, (value) => {
        expect(canonical(shuffled(value))).toBe(canonical(value));
      }),
      propertyRuns,
    );
  });

  test('two values have the same text exactly when they are the same', () => {
    const similar = fc.constantFrom<Json>(
      null,
      0,
      '',
      '0',
      [],
      {},
      [null],
      { a: null },
      { a: {} },
      { a: [] },
    );
    fc.assert(
      fc.property(fc.oneof(anyJson, similar), fc.oneof(anyJson, similar), (left, right) => {
        expect(canonical(left) === canonical(right)).toBe(isDeepStrictEqual(left, right));
      }),
      propertyRuns,
    );
  });
});

describe('storable', () => {
  test.each<[string, Json, Json]>([
    ['a NUL', 'a\0b', 'a\ufffdb'],
    ['half a character', 'a\ud83d', 'a\ufffd'],
    ['a whole character', '😀', '😀'],
    ['a key', { 'a\0': { b: ['\udc00'] } }, { 'a\ufffd': { b: ['\ufffd'] } }],
    ['other values', [null, true, 1.5, {}], [null, true, 1.5, {}]],
  ])('%s', (_what, value, expected) => {
    expect(storable(value)).toEqual(expected);
  });
});

describe('isDeeperThan', () => {
  test.each<[Json, number, boolean]>([
    ['text', 0, false],
    [{}, 0, true],
    [{}, 1, false],
    [[[]], 1, true],
    [[[], { a: [] }], 3, false],
    [[[], { a: [] }], 2, true],
  ])('%j, %i levels: %s', (value, levels, expected) => {
    expect(isDeeperThan(value, levels)).toBe(expected);
  });

  test('a hundred thousand levels are counted without an overflow', () => {
    expect(isDeeperThan(JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)), 64)).toBe(true);
  });
});
