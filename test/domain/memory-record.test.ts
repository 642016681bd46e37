import { describe, expect, test } from 'vitest';
import { traits } from '../../domain/memory.ts';
import {
  isEntity,
  isTag,
  kindOf,
  type MemoryGenes,
  parseDna,
  planImport,
  refuseInheritance,
  refuseRecords,
  toDna,
} from '../../domain/memory-record.ts';

const genes = (given: Partial<MemoryGenes> = {}): MemoryGenes => ({
  entity: 'agent:agt_1',
  traits: { velocity: 0.52, reliability: 0.123456 },
  tags: ['core', 'inherited'],
  parent: 'agent:agt_0',
  ...given,
});

describe('a trait string', () => {
  test.each([
    genes(),
    genes({ traits: {}, tags: [], parent: null }),
    genes({ traits: { utility: 0, latency: 1 } }),
  ])('comes back as the record it was made of', (record) => {
    expect(parseDna(toDna(record))).toEqual(record);
  });

  test('is one line with the traits in order of their names', () => {
    expect(toDna(genes())).toBe(
      'dna1;agent:agt_1;reliability=0.123456,velocity=0.52;core,inherited;agent:agt_0',
    );
  });

  test.each([
    ['', 'begin with dna1'],
    ['dna2;agent:a;;;', 'begin with dna1'],
    ['dna1;agent:a;;', 'five parts'],
    ['dna1;agent:a;;;;', 'five parts'],
    ['dna1;agent:a;reliability=2;;', '"reliability=2"'],
    ['dna1;agent:a;reliability=-0.1;;', 'TRAIT=VALUE'],
    ['dna1;agent:a;reliability=1e-3;;', 'TRAIT=VALUE'],
    ['dna1;agent:a;reliability=0.5,reliability=0.6;;', 'twice'],
  ])('%s is refused with what is wrong', (text, what) => {
    expect(parseDna(text)).toMatchObject({
      refused: 'INVALID',
      message: expect.stringContaining(what) as string,
    });
  });
});

test.each([
  ['endpoint:prb_1', true],
  ['squad:shop.eu', true],
  ['robot:x', false],
  ['agent:', false],
  ['agent:a b', false],
  ['agent:a;b', false],
  [`agent:${'x'.repeat(101)}`, false],
])('%s is an entity: %s', (text, expected) => {
  expect(isEntity(text)).toBe(expected);
});

test('a tag is lower-case words, and an entity has the kind in front of its id', () => {
  expect(['a', 'a-b2', 'A', 'a--b', '-a', 'a;b', 'x'.repeat(41)].map(isTag)).toEqual([
    ...[true, true, false, false, false, false, false],
  ]);
  expect(kindOf('spore:agent:x')).toBe('spore');
});

test('only another of the same kind can be inherited from', () => {
  expect(refuseInheritance('agent:a', 'agent:b')).toBeNull();
  expect(refuseInheritance('agent:a', 'agent:a')).toMatchObject({ refused: 'INVALID' });
  expect(refuseInheritance('agent:a', 'squad:a')).toMatchObject({ refused: 'INVALID' });
});

describe('an import', () => {
  test.each([
    [genes({ entity: 'robot:x' }), 'records.1.entity'],
    [genes({ entity: 'agent:first' }), 'two of agent:first'],
    [genes({ traits: { charm: 0.5 } }), 'charm is none'],
    [genes({ traits: { utility: 1.01 } }), 'not between 0 and 1'],
    [genes({ traits: { utility: Number.NaN } }), 'not between 0 and 1'],
    [genes({ tags: ['Not A Tag'] }), 'records.1.tags'],
    [genes({ parent: 'nobody' }), 'records.1.parent'],
  ])('is refused as a whole for one wrong record', (wrong, what) => {
    const records = [genes({ entity: 'agent:first' }), wrong];
    expect(refuseRecords(records, traits)).toMatchObject({
      refused: 'INVALID',
      message: expect.stringContaining(what) as string,
    });
  });

  test('tells new records, those that are the same, and those in conflict, which may be replaced', () => {
    const there = [genes({ entity: 'agent:same' }), genes({ entity: 'agent:other' })];
    const given = [
      genes({ entity: 'agent:new' }),
      genes({ entity: 'agent:same' }),
      genes({ entity: 'agent:other', tags: [] }),
    ];
    const plan = { created: ['agent:new'], same: ['agent:same'], replaced: [], conflicts: ['agent:other'] };
    expect(refuseRecords(given, traits)).toBeNull();
    expect(planImport(given, there, false)).toEqual(plan);
    expect(planImport(given, there, true)).toEqual({ ...plan, replaced: ['agent:other'], conflicts: [] });
  });
});
