import { describe, expect, test } from 'vitest';
import {
  anyone,
  approvalsNeeded,
  builtInPolicy,
  checkEnable,
  matchesPolicy,
  type Policy,
  type PolicyFacts,
  type PolicyMatch,
  resolvePolicy,
} from '../../domain/policy.ts';

const everything: PolicyMatch = { kinds: [], risks: [], targets: [], types: [], groups: [] };
const facts: PolicyFacts = {
  kind: 'task',
  risk: 'medium',
  target: 'probe:1',
  type: 'repair.api.endpoint',
  groups: ['squad-a'],
};

function aPolicy(given: Partial<Policy> = {}): Policy {
  return { ...builtInPolicy('low'), id: 'pol_1', version: 100, place: 10, match: everything, ...given };
}

describe('the built-in policy', () => {
  test.each([
    ['low', 1],
    ['medium', 1],
    ['high', 2],
  ] as const)('%s risk needs %i approval(s) within 72 h', (risk, approvals) => {
    const { rule } = builtInPolicy(risk);
    expect(approvalsNeeded(rule)).toBe(approvals);
    expect(rule.expiresInMs).toBe(72 * 3_600_000);
    expect(rule.reasonRequired).toBe(risk === 'high');
  });
});

describe('matchesPolicy', () => {
  test.each<[string, Partial<PolicyMatch>, boolean]>([
    ['empty lists', {}, true],
    ['its kind', { kinds: ['task'] }, true],
    ['another kind', { kinds: ['fabric'] }, false],
    ['its risk', { risks: ['medium', 'high'] }, true],
    ['another risk', { risks: ['high'] }, false],
    ['the beginning of its target', { targets: ['probe:*'] }, true],
    ['another target', { targets: ['shop'] }, false],
    ['its type', { types: ['repair.api.endpoint'] }, true],
    ['the beginning of another type', { types: ['deploy.*'] }, false],
    ['a group of the requester', { groups: ['squad-b', 'squad-a'] }, true],
    ['another group', { groups: ['squad-b'] }, false],
  ])('%s', (_name, match, expected) => {
    expect(matchesPolicy({ ...everything, ...match }, facts)).toBe(expected);
  });
});

describe('resolvePolicy', () => {
  test('without a match it is the built-in one for the risk', () => {
    const other = aPolicy({ match: { ...everything, kinds: ['fabric'] } });
    expect(resolvePolicy([other], { ...facts, risk: 'high' })).toEqual(builtInPolicy('high'));
  });

  test('of several the lowest place counts, then the oldest version', () => {
    const late = aPolicy({ id: 'late', place: 20, version: 100 });
    const early = aPolicy({ id: 'early', place: 10, version: 102 });
    const older = aPolicy({ id: 'older', place: 10, version: 101 });
    expect(resolvePolicy([late, early, older], facts).id).toBe('older');
  });

  test('stages add up', () => {
    const rule = { ...aPolicy().rule, stages: [1, 2].map((approvals) => ({ approvals, approvers: anyone })) };
    expect(approvalsNeeded(rule)).toBe(3);
  });
});

describe('checkEnable', () => {
  const policy = { name: 'shop', version: 101, enabled: false, editedByPerson: 'prn_writer' };
  const reader = { kind: 'human' as const, name: 'ada', person: 'prn_ada' };

  test.each<[string, Partial<typeof policy>, object, number, string | null]>([
    ['another person, the version that was read', {}, {}, 101, null],
    ['the person who wrote it', {}, { person: 'prn_writer' }, 101, 'FORBIDDEN'],
    ['a service', {}, { kind: 'service' }, 101, 'FORBIDDEN'],
    ['an agent', {}, { kind: 'agent' }, 101, 'FORBIDDEN'],
    ['an older version', {}, {}, 100, 'STALE'],
    ['one that is enabled', { enabled: true }, {}, 101, 'CONFLICT'],
    ['an older version by its writer says first whose it is', {}, { person: 'prn_writer' }, 100, 'FORBIDDEN'],
  ])('%s', (_name, given, who, version, code) => {
    const refusal = checkEnable({ ...policy, ...given }, { ...reader, ...who }, version);
    expect(refusal?.refused ?? null).toBe(code);
  });
});
