import { describe, expect, test } from 'vitest';
import { createKeyLookup } from '../../api/key-lookup.ts';

/** A record whose reads answer when they are told to, with what it held when they began. */
function slowRecord() {
  let holds = 'before';
  const reads: { end: () => void; fail: () => void }[] = [];
  const find = (): Promise<string> => {
    const seen = holds;
    return new Promise((resolve, reject) => {
      reads.push({ end: () => resolve(seen), fail: () => reject(new Error('gone')) });
    });
  };
  return { find, reads, change: (to: string) => (holds = to) };
}
const turn = () => new Promise(setImmediate);

describe('requests with one key at the same time', () => {
  test('share a read that has not begun', async () => {
    const record = slowRecord();
    const lookup = createKeyLookup(record.find);
    const all = Array.from({ length: 50 }, () => lookup('a'));
    expect(record.reads).toHaveLength(2);
    record.reads.forEach(({ end }) => end());
    await turn();
    expect(record.reads).toHaveLength(3);
    record.reads[2]?.end();
    expect(new Set(await Promise.all(all))).toEqual(new Set(['before']));
    expect(record.reads).toHaveLength(3);
  });

  test('are never told what was so before they came', async () => {
    const record = slowRecord();
    const lookup = createKeyLookup(record.find);
    const early = [lookup('a'), lookup('a'), lookup('a')];
    record.change('revoked');
    const late = lookup('a');
    record.reads.forEach(({ end }) => end());
    await turn();
    record.reads[2]?.end();
    expect(await late).toBe('revoked');
    expect((await Promise.all(early)).slice(0, 2)).toEqual(['before', 'before']);
  });

  test('all learn that a read failed, and the next one is tried', async () => {
    const record = slowRecord();
    const lookup = createKeyLookup(record.find);
    const all = [lookup('a'), lookup('a'), lookup('a'), lookup('a')];
    const settled = Promise.allSettled(all);
    record.reads.forEach(({ fail }) => fail());
    await turn();
    record.reads[2]?.fail();
    expect((await settled).map(({ status }) => status)).toEqual(Array(4).fill('rejected'));
    const next = lookup('a');
    record.reads[3]?.end();
    expect(await next).toBe('before');
  });

  test('of different keys do not wait for each other', () => {
    const record = slowRecord();
    const lookup = createKeyLookup(record.find);
    for (const id of ['a', 'b', 'c']) void lookup(id);
    expect(record.reads).toHaveLength(3);
  });
});
