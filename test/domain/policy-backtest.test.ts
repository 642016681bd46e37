import { describe, expect, test } from 'vitest';
import { anyone, type Approvers, builtInPolicy, type Policy, type PolicyRule } from '../../domain/policy.ts';
import {
  backTest,
  type BackTestEffect,
  backTestLimits,
  backTestTotals,
  type RecordedApproval,
  type RecordedVote,
  withPolicy,
} from '../../domain/policy-backtest.ts';

const hour = 3_600_000;
const roles = (...names: string[]): Approvers => ({ roles: names, groups: [] });
const groups = (...names: string[]): Approvers => ({ roles: [], groups: names });

function aPolicy(rule: Partial<PolicyRule> = {}, given: Partial<Policy> = {}): Policy {
  const base = builtInPolicy('low');
  return {
    ...base,
    id: 'pol_1',
    name: 'draft',
    version: 100,
    place: 10,
    rule: { ...base.rule, escalateAfterMs: null, ...rule },
    ...given,
  };
}

function aVote(name: string, atHours: number, given: Partial<RecordedVote> = {}): RecordedVote {
  return {
    principalId: `prn_${name}`,
    name,
    decision: 'approve',
    atMs: atHours * hour,
    hasReason: false,
    role: 'operator',
    groups: [],
    ...given,
  };
}

function recorded(given: Partial<RecordedApproval> = {}): RecordedApproval {
  return {
    id: 'apr_1',
    title: 'Repair the shop',
    kind: 'task',
    risk: 'medium',
    target: 'shop',
    type: 'repair.api.endpoint',
    requestedBy: 'prn_requester',
    requesterGroups: [],
    openedAtMs: 0,
    decidedAtMs: 2 * hour,
    state: 'approved',
    votes: [aVote('ada', 2)],
    requiredApprovals: 1,
    dispatchMode: 'manual',
    ...given,
  };
}

const under = (draft: Policy, approval = recorded(), present: Policy[] = []) =>
  backTest({ present, changed: withPolicy(present, draft) }, approval);

const stage = (approvals: number, approvers = anyone) => ({ approvals, approvers });
const two = [aVote('ada', 2), aVote('bob', 5)];

describe('a recorded approval under a changed policy', () => {
  test.each<[string, Partial<PolicyRule>, Partial<RecordedApproval>, BackTestEffect, object]>([
    ['one vote where one is asked ends the same', {}, {}, 'changed', { people: null, wouldWaitMs: 2 * hour }],
    [
      'one vote where two are asked would still wait',
      { stages: [stage(2)] },
      {},
      'slowed',
      { people: { from: 1, to: 2 }, wouldWaitMs: null, votesNotCounted: [] },
    ],
    [
      'two votes where one is asked would have ended at the first',
      {},
      { votes: two, requiredApprovals: 2, decidedAtMs: 5 * hour },
      'sooner',
      { people: { from: 2, to: 1 }, waitedMs: 5 * hour, wouldWaitMs: 2 * hour },
    ],
    [
      'a vote of another role is refused',
      { stages: [stage(1, roles('admin'))] },
      {},
      'refused',
      { votesNotCounted: [{ name: 'ada', because: 'not-eligible' }] },
    ],
    [
      'a vote of a role that is named counts',
      { stages: [stage(1, roles('admin', 'operator'))] },
      {},
      'changed',
      { votesNotCounted: [] },
    ],
    [
      'a vote of a member of a named group counts, whatever the role',
      { stages: [stage(1, groups('squad-a'))] },
      { votes: [aVote('ada', 2, { role: 'viewer', groups: ['squad-a'] })] },
      'changed',
      { votesNotCounted: [] },
    ],
    [
      'a vote without a reason is refused where one is required',
      { reasonRequired: true },
      {},
      'refused',
      { votesNotCounted: [{ name: 'ada', because: 'reason-missing' }] },
    ],
    [
      'a vote with a reason is taken there',
      { reasonRequired: true },
      { votes: [aVote('ada', 2, { hasReason: true })] },
      'changed',
      { votesNotCounted: [] },
    ],
    [
      'a decision after the expiry would have come too late',
      { expiresInMs: 2 * hour },
      {},
      'expired',
      { votesNotCounted: [{ name: 'ada', because: 'after-expiry' }], wouldWaitMs: null },
    ],
    ['a decision just before the expiry counts', { expiresInMs: 2 * hour + 1 }, {}, 'changed', {}],
    [
      'the second of two votes would have come too late',
      { stages: [stage(2)], expiresInMs: 4 * hour },
      { votes: two, requiredApprovals: 2 },
      'expired',
      { votesNotCounted: [{ name: 'bob', because: 'after-expiry' }] },
    ],
    [
      'stages take their people in turn',
      { stages: [stage(1, groups('squad-a')), stage(1, roles('admin'))] },
      { votes: [aVote('ada', 2, { groups: ['squad-a'] }), aVote('eve', 5, { role: 'admin' })] },
      'changed',
      { people: { from: 1, to: 2 }, wouldWaitMs: 5 * hour },
    ],
    [
      'a vote before its stage does not count',
      { stages: [stage(1, groups('squad-a')), stage(1, roles('admin'))] },
      { votes: [aVote('eve', 2, { role: 'admin' }), aVote('ada', 5, { groups: ['squad-a'] })] },
      'refused',
      { votesNotCounted: [{ name: 'eve', because: 'not-eligible' }] },
    ],
    [
      'whom it escalates to counts after that time',
      { stages: [stage(1, groups('squad-a'))], escalateAfterMs: hour, escalateTo: roles('operator') },
      {},
      'changed',
      { votesNotCounted: [] },
    ],
    [
      'and not before it',
      { stages: [stage(1, groups('squad-a'))], escalateAfterMs: 3 * hour, escalateTo: roles('operator') },
      {},
      'refused',
      { votesNotCounted: [{ name: 'ada', because: 'not-eligible' }] },
    ],
    [
      'a rejection ends it at once',
      { stages: [stage(3)] },
      { state: 'rejected', votes: [aVote('ada', 2, { decision: 'reject' })] },
      'changed',
      { wouldWaitMs: 2 * hour },
    ],
    [
      'a rejection of somebody who may not is no rejection',
      { stages: [stage(1, roles('admin'))] },
      { state: 'rejected', votes: [aVote('ada', 2, { decision: 'reject' })] },
      'refused',
      { wouldWaitMs: null },
    ],
    [
      'one that expired with a vote too few would have been approved',
      {},
      { state: 'expired', requiredApprovals: 2, decidedAtMs: 72 * hour },
      'sooner',
      { waitedMs: 72 * hour, wouldWaitMs: 2 * hour },
    ],
    [
      'one that nobody answered stays unanswered: silence is not known',
      { expiresInMs: 30 * 24 * hour },
      { state: 'expired', votes: [], decidedAtMs: 72 * hour },
      'changed',
      { wouldWaitMs: null },
    ],
    [
      'one that is still open is counted as far as it is',
      { stages: [stage(2)] },
      { state: 'open', votes: [], decidedAtMs: null },
      'changed',
      { waitedMs: null, wouldWaitMs: null },
    ],
    [
      'it would be dispatched by itself',
      { dispatchMode: 'auto' },
      {},
      'changed',
      { dispatch: { from: 'manual', to: 'auto' } },
    ],
    ['as asked changes no dispatch', { dispatchMode: 'as-asked' }, {}, 'changed', { dispatch: null }],
    [
      'what is not dispatched by itself has no such difference',
      { dispatchMode: 'auto' },
      { kind: 'fabric', dispatchMode: null },
      'changed',
      { dispatch: null },
    ],
  ])('%s', (_name, rule, given, effect, more) => {
    expect(under(aPolicy(rule), recorded(given))).toMatchObject({ effect, ...more });
  });

  test('the order in which votes were written down does not matter, their time does', () => {
    const turned = recorded({ votes: [...two].reverse(), requiredApprovals: 2, decidedAtMs: 5 * hour });
    expect(under(aPolicy(), turned)).toMatchObject({ effect: 'sooner', wouldWaitMs: 2 * hour });
  });
});

describe('what the changed policy is not for', () => {
  const strict = { stages: [stage(5)], dispatchMode: 'auto' as const };
  const only = (match: Partial<Policy['match']>) => ({ match: { ...aPolicy().match, ...match } });

  test.each<[string, Partial<Policy>]>([
    ['another target', only({ targets: ['bank:*'] })],
    ['another risk', only({ risks: ['high'] })],
    ['another kind', only({ kinds: ['fabric'] })],
    ['another type', only({ types: ['deploy.*'] })],
    ['requesters of another group', only({ groups: ['squad-b'] })],
  ])('%s is unchanged', (_name, given) => {
    expect(under(aPolicy(strict, given))).toMatchObject({
      effect: 'unchanged',
      people: null,
      dispatch: null,
      wouldWaitMs: 2 * hour,
    });
  });

  test('a policy before it in place keeps the approval', () => {
    const first = aPolicy({}, { id: 'pol_0', name: 'first', place: 1 });
    expect(under(aPolicy(strict), recorded(), [first])).toMatchObject({
      effect: 'unchanged',
      policy: { from: 'first', to: 'first' },
    });
  });

  test('a policy behind it loses the approval, by name', () => {
    const later = aPolicy({}, { id: 'pol_9', name: 'later', place: 99 });
    expect(under(aPolicy(strict), recorded(), [later])).toMatchObject({
      effect: 'slowed',
      policy: { from: 'later', to: 'draft' },
    });
  });

  test('a policy that is replaced no longer counts beside its successor', () => {
    const old = aPolicy({}, { name: 'old', place: 1 });
    const successor = aPolicy(strict, { name: 'new', version: 101, place: 20 });
    expect(under(successor, recorded(), [old])).toMatchObject({
      effect: 'slowed',
      policy: { from: 'old', to: 'new' },
    });
  });

  test('a policy that no longer matches leaves the approval to the built-in one', () => {
    const old = aPolicy({ stages: [stage(2)] }, { name: 'old' });
    const narrowed = aPolicy({}, { ...only({ targets: ['bank'] }), name: 'new', version: 101 });
    expect(under(narrowed, recorded({ requiredApprovals: 2, votes: two }), [old])).toMatchObject({
      effect: 'sooner',
      policy: { from: 'old', to: 'built-in' },
    });
  });
});

describe('the totals', () => {
  test('count every effect and difference, and give the median waiting before and after', () => {
    const draft = aPolicy(
      { stages: [stage(2)], dispatchMode: 'auto' },
      { match: { ...aPolicy().match, targets: ['shop'] } },
    );
    const tested = [
      recorded({ target: 'bank', decidedAtMs: 4 * hour }),
      recorded(),
      recorded({ votes: two, requiredApprovals: 2, decidedAtMs: 5 * hour }),
      recorded({ votes: [], state: 'open', decidedAtMs: null, dispatchMode: 'auto' }),
    ].map((approval) => under(draft, approval));
    expect(backTestTotals(tested)).toEqual({
      approvals: 4,
      effects: { unchanged: 1, changed: 2, sooner: 0, slowed: 1, refused: 0, expired: 0 },
      morePeople: 2,
      fewerPeople: 0,
      votesNotCounted: 0,
      becomeAutomatic: 2,
      becomeManual: 0,
      medianWaitMs: 4 * hour,
      medianWouldWaitMs: 4.5 * hour,
    });
  });

  test('of nothing have no median', () => {
    expect(backTestTotals([])).toMatchObject({ approvals: 0, medianWaitMs: null, medianWouldWaitMs: null });
  });

  test('come with what cannot be known', () => {
    expect(backTestLimits.join(' ')).toMatch(/Silence is not recorded/);
  });
});
