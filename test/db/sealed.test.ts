import { describe, expect, test } from 'vitest';
import { createSecretBox } from '../../db/sealed.ts';

const old = 'a'.repeat(32);
const fresh = 'b'.repeat(64);

describe('a sealed secret', () => {
  test('opens for the record it was sealed for, and shows nothing of itself', () => {
    const box = createSecretBox(fresh);
    const sealed = box.seal('hunter2 🙂', 'channel:1');
    expect(sealed).not.toContain('hunter2');
    expect(sealed).not.toContain(Buffer.from('hunter2').toString('base64url').slice(0, 8));
    expect(box.open(sealed, 'channel:1')).toBe('hunter2 🙂');
    expect(() => box.open(sealed, 'channel:2')).toThrow('belongs to another record');
  });

  test('is another text each time', () => {
    const box = createSecretBox(fresh);
    expect(box.seal('x', 'c')).not.toBe(box.seal('x', 'c'));
  });

  test('still opens after a new key was put above the old one, and is sealed with the new one from then on', () => {
    const before = createSecretBox(old).seal('x', 'c');
    const both = createSecretBox(`${fresh}\n${old}\n`);
    expect(both.open(before, 'c')).toBe('x');
    expect(createSecretBox(fresh).open(both.seal('y', 'c'), 'c')).toBe('y');
  });

  test('that was altered in any byte is refused', () => {
    const box = createSecretBox(fresh);
    const sealed = box.seal('hunter2', 'c');
    const [form, key, text = ''] = sealed.split('.');
    const bytes = Buffer.from(text, 'base64url');
    for (let at = 0; at < bytes.length; at += 1) {
      const altered = Buffer.from(bytes);
      altered[at] = (altered[at] ?? 0) ^ 1;
      expect(() => box.open([form, key, altered.toString('base64url')].join('.'), 'c')).toThrow('altered');
    }
    expect(() => box.open(`${form}.${key}.`, 'c')).toThrow('altered');
    expect(() => box.open(`${form}.${key}.${text.slice(0, 30)}`, 'c')).toThrow('altered');
  });

  test('under a key that is gone says what to do', () => {
    const sealed = createSecretBox(old).seal('x', 'c');
    expect(() => createSecretBox(fresh).open(sealed, 'c')).toThrow('put it back');
    expect(() => createSecretBox(fresh).open('nonsense', 'c')).toThrow('put it back');
  });
});

test.each([
  ['', 'empty'],
  ['\n\n', 'empty'],
  ['short', 'key 1 has fewer than 32'],
  [`${fresh}\nshort`, 'key 2 has fewer'],
])('a key file with %j is refused', (text, why) => {
  expect(() => createSecretBox(text)).toThrow(why);
});
