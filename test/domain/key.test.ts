import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatKey, parseKey } from '../../domain/key.ts';
import { propertyRuns } from './runs.ts';

const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const aText = (minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...letters), minLength, maxLength });
const aKey = fc.record({
  environment: fc.string({
    unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz'),
    minLength: 2,
    maxLength: 8,
  }),
  id: aText(12, 12),
  secret: aText(32, 64),
});

const id = 'aB3456789012';
const secret = 'Z'.repeat(40);
const key = formatKey('live', id, secret);

describe('keys', () => {
  test('a key is read as it was made', () => {
    fc.assert(
      fc.property(aKey, (parts) => {
        const text = formatKey(parts.environment, parts.id, parts.secret);
        expect(parseKey(text)).toEqual(parts);
      }),
      propertyRuns,
    );
  });

  test('every single wrong character is refused without a query', () => {
    for (let place = 0; place < key.length; place += 1)
      for (const character of `${letters}_- \u00e9`) {
        if (character === key[place]) continue;
        const wrong = key.slice(0, place) + character + key.slice(place + 1);
        expect({ wrong, read: parseKey(wrong) }).toEqual({ wrong, read: null });
      }
  });

  test('two swapped neighbours are refused', () => {
    fc.assert(
      fc.property(aKey, fc.nat(100), (parts, at) => {
        const text = formatKey(parts.environment, parts.id, parts.secret);
        const place = at % (text.length - 1);
        const [left = '', right = ''] = text.slice(place, place + 2);
        fc.pre(left !== right);
        expect(parseKey(text.slice(0, place) + right + left + text.slice(place + 2))).toBeNull();
      }),
      propertyRuns,
    );
  });

  test.each<[string, string]>([
    ['nothing', ''],
    ['a key cut short', key.slice(0, -1)],
    ['a key with more', `${key}0`],
    ['a line break behind it', `${key}\n`],
    ['white space before it', ` ${key}`],
    ['another product', key.replace('dn_', 'dx_')],
    ['the checksum in capitals', key.slice(0, -8) + key.slice(-8).toUpperCase().replace(/^\d+$/, 'ABCDEF00')],
    ['no secret', `dn_live_${id}__00000000`],
    ['a secret that is too short', formatKey('live', id, 'Z'.repeat(31))],
    ['a secret that is too long', formatKey('live', id, 'Z'.repeat(65))],
    ['an id that is too short', formatKey('live', 'short', secret)],
    ['two keys', `${key}${key}`],
  ])('%s is no key', (_what, text) => {
    expect(parseKey(text)).toBeNull();
  });
});
