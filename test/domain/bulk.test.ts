import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  encodeSelection,
  parseSelection,
  type Selected,
  selectionText,
  whatMoved,
} from '../../domain/bulk.ts';

const hash = 'a'.repeat(64);
const of = (...pairs: [string, string][]): Selected[] => pairs.map(([id, digest]) => ({ id, digest }));
const ab = of(['apr_a', '1'.repeat(64)], ['apr_b', '2'.repeat(64)]);

test('the fingerprint does not depend on the order of the list, but on every id and digest', () => {
  expect(selectionText([...ab].reverse())).toBe(selectionText(ab));
  expect(selectionText(ab.slice(1))).not.toBe(selectionText(ab));
  expect(selectionText(of(['apr_a', '2'.repeat(64)], ['apr_b', '1'.repeat(64)]))).not.toBe(selectionText(ab));
});

test('a token is read as it was made, also of nothing', () => {
  for (const items of [[], ab])
    expect(parseSelection(encodeSelection(items, hash))).toEqual({
      hash,
      seen: items.map(({ id, digest }) => ({ id, digest: digest.slice(0, 12) })),
    });
});

test.each(['', 'abc', `${hash},`, `${hash},apr_a`, `${hash},a b~12`, `${hash.slice(1)}G,apr_a~12`])(
  '%j is no token',
  (text) => {
    expect(parseSelection(text)).toBeNull();
  },
);

test('no text whatever breaks the reader', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((rest) => `${hash},${rest}`),
      ),
      (text) => {
        const read = parseSelection(text);
        if (read !== null) expect(read.hash).toHaveLength(64);
      },
    ),
  );
});

describe('what moved', () => {
  test.each<[string, Selected[], object]>([
    ['nothing', ab, { appeared: [], gone: [], changed: [] }],
    ['one appeared', [...ab, ...of(['apr_c', '3'])], { appeared: ['apr_c'], gone: [], changed: [] }],
    ['one left', ab.slice(1), { appeared: [], gone: ['apr_a'], changed: [] }],
    [
      'one has other content',
      of(['apr_a', '9'.repeat(64)], ['apr_b', '2'.repeat(64)]),
      { appeared: [], gone: [], changed: ['apr_a'] },
    ],
  ])('%s', (_name, now, moved) => {
    const seen = parseSelection(encodeSelection(ab, hash))?.seen ?? [];
    expect(whatMoved(seen, now)).toEqual(moved);
  });
});
