import { describe, expect, test } from 'vitest';
import { type Approver, describeApprovers, stageOf, whoLapsed } from '../../domain/approver.ts';
import { anyone } from '../../domain/policy.ts';
import { anApproval, anApprover, aRight, aRule, askedAtMs, aVote } from '../support/approvals.ts';

const staged = aRule({
  stages: [
    { approvals: 1, approvers: { roles: [], groups: ['sre'] } },
    { approvals: 2, approvers: { roles: ['admin'], groups: [] } },
  ],
  escalateTo: { roles: ['operator'], groups: [] },
});

describe('stageOf', () => {
  const at = (...stages: number[]) =>
    stageOf({ rule: staged, votes: stages.map((stage, index) => ({ ...aVote(`prn_${index}`), stage })) });

  test('follows from the votes alone', () => {
    expect(at()).toMatchObject({ index: 0, of: 2, given: 0, votesLeft: 3 });
    expect(at(0)).toMatchObject({ index: 1, given: 0, approvals: 2, votesLeft: 2 });
    expect(at(0, 1)).toMatchObject({ index: 1, given: 1, votesLeft: 1 });
    expect(at(0, 1, 1)).toMatchObject({ index: 2, votesLeft: 0 });
  });

  test('a vote from before there were stages counts for the first', () => {
    expect(stageOf({ rule: aRule({ quorum: 2 }), votes: [aVote('prn_a')] })).toMatchObject({
      index: 0,
      votesLeft: 1,
    });
  });
});

describe('whoLapsed: a voter must hold the role at apply time too (TRUST 4.12)', () => {
  const approval = anApproval({
    rule: staged,
    state: 'approved',
    votes: [{ ...aVote('prn_a', 'Ann'), stage: 0 }],
  });
  const ann = anApprover({ id: 'prn_a', groups: ['sre'] });
  const lapsed = (voter: Approver | null, given = approval) =>
    whoLapsed(given, new Map(voter === null ? [] : [['prn_a', voter]]));

  test('nobody has while all are as they were', () => {
    expect(lapsed(ann)).toBeNull();
  });

  test.each<[string, Approver | null]>([
    ['is gone', null],
    ['is disabled', anApprover({ id: 'prn_a', groups: ['sre'], active: false })],
    ['lost the permission', anApprover({ id: 'prn_a', groups: ['sre'], role: 'viewer' })],
    ['left the group', anApprover({ id: 'prn_a' })],
    [
      'is in the group by a gift of the requester',
      anApprover({
        id: 'prn_a',
        rights: [aRight({ what: 'group', name: 'sre', givenBy: 'prn_requester', givenAtMs: askedAtMs })],
      }),
    ],
    [
      'has an account that the requester made',
      anApprover({
        id: 'prn_a',
        groups: ['sre'],
        rights: [aRight({ what: 'account', givenBy: 'prn_requester', givenAtMs: askedAtMs })],
      }),
    ],
  ])('who %s is named', (_what, voter) => {
    expect(lapsed(voter)).toBe('Ann');
  });

  test('a vote that came by hand-over or after an escalation stands as it was allowed', () => {
    const operator = anApprover({ id: 'prn_a' });
    expect(lapsed(operator, { ...approval, escalatedAtMs: askedAtMs })).toBeNull();
    const handover = {
      ...{ from: 'prn_s', fromName: 'S', fromPerson: 'prn_s', to: 'prn_a', toName: 'Ann', toPerson: 'prn_a' },
      ...{ stages: [0], reason: null, at: '' },
    };
    expect(lapsed(operator, { ...approval, handovers: [handover] })).toBeNull();
    expect(lapsed(operator, { ...approval, handovers: [{ ...handover, stages: [1] }] })).toBe('Ann');
  });

  test('who broke the glass needs that permission still, and no other', () => {
    const votes = [{ ...aVote('prn_a', 'Ann'), stage: 0, breakGlass: true }];
    expect(lapsed(anApprover({ id: 'prn_a', role: 'break-glass' }), { ...approval, votes })).toBeNull();
    expect(lapsed(ann, { ...approval, votes })).toBe('Ann');
  });
});

test('approvers are named for people who look for one', () => {
  expect(describeApprovers({ roles: ['admin'], groups: ['sre', 'dba'] })).toBe(
    'role admin or group sre or group dba',
  );
  expect(describeApprovers(anyone)).toBe('anyone who may decide approvals');
});
