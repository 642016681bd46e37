import { describe, expect, test } from 'vitest';
import {
  approvalStates,
  checkEdit,
  decide,
  type DecisionFacts,
  type Handover,
  handOver,
  settledBy,
} from '../../domain/approval.ts';
import type { ApprovalFacts } from '../../domain/approver.ts';
import { isRefusal } from '../../domain/refusal.ts';
import {
  aDecision,
  anApproval,
  anApprover,
  aRight,
  aRule,
  askedAtMs as now,
  aVote,
} from '../support/approvals.ts';

const staged = aRule({
  stages: [
    { approvals: 1, approvers: { roles: [], groups: ['sre'] } },
    { approvals: 2, approvers: { roles: ['admin'], groups: [] } },
  ],
});
const sre = anApprover({ id: 'prn_sre', name: 'Sri', groups: ['sre'] });
const admin = anApprover({ id: 'prn_admin', name: 'Ada', role: 'admin' });
const breaker = (id: string) => anApprover({ id, name: id, role: 'break-glass' });

describe('decide: what counts', () => {
  test('one yes of another person ends an approval that needs one', () => {
    expect(decide(anApproval(), aDecision(), now)).toEqual({ state: 'approved', votesLeft: 0, stage: 0 });
  });

  test('TRUST 4.13: one no ends it, whatever the quorum', () => {
    const approval = anApproval({ quorum: 3, votes: [aVote('prn_a'), aVote('prn_b')] });
    expect(decide(approval, aDecision({ decision: 'reject' }), now)).toMatchObject({
      state: 'rejected',
      votesLeft: 0,
    });
  });

  test.each([
    [2, 0, { state: 'open', votesLeft: 1 }],
    [2, 1, { state: 'approved', votesLeft: 0 }],
    [3, 1, { state: 'open', votesLeft: 1 }],
    [3, 2, { state: 'approved', votesLeft: 0 }],
  ])('of %i needed votes %i are there: one more makes %o', (quorum, given, expected) => {
    const votes = Array.from({ length: given }, (_, index) => aVote(`prn_${index}`));
    expect(decide(anApproval({ quorum, votes }), aDecision(), now)).toMatchObject(expected);
  });

  test('the last millisecond before expiry still counts', () => {
    expect(decide(anApproval({ expiresAtMs: now }), aDecision(), now - 1)).toMatchObject({
      state: 'approved',
    });
  });
});

/** Each row breaks one more thing than the row below it, so the table is the order of precedence, first to last. */
const wrongs: { name: string; code: string; says: string; break: (at: Scene) => void }[] = [
  {
    name: 'the decider is not human',
    code: 'FORBIDDEN',
    says: 'only people decide',
    break: (at) =>
      (at.decision.approver = {
        ...at.decision.approver,
        principal: { ...at.decision.approver.principal, kind: 'agent' },
      }),
  },
  {
    name: 'the decider lacks the role',
    code: 'FORBIDDEN',
    says: 'approvals:decide',
    break: (at) => (at.decision.approver = anApprover({ role: 'viewer' })),
  },
  {
    name: 'the decider requested it',
    code: 'FORBIDDEN',
    says: 'four-eyes',
    break: (at) => (at.approval.requestedBy = at.decision.approver.principal.id),
  },
  {
    name: 'it is settled',
    code: 'CONFLICT',
    says: 'already rejected',
    break: (at) => (at.approval.state = 'rejected'),
  },
  {
    name: 'its time is over',
    code: 'EXPIRED',
    says: 'time to decide is over',
    break: (at) => (at.approval.expiresAtMs = now),
  },
  {
    name: 'the content moved',
    code: 'STALE',
    says: 'changed after you looked',
    break: (at) => (at.decision.digest = 'd0'),
  },
  {
    name: 'the account of the decider was made by the requester after asking',
    code: 'FORBIDDEN',
    says: 'The account of Olga was made by whoever asks',
    break: (at) =>
      (at.decision.approver = {
        ...at.decision.approver,
        rights: [
          ...at.decision.approver.rights,
          aRight({ what: 'account', givenBy: at.approval.askedByPerson, givenAtMs: now }),
        ],
      }),
  },
  {
    name: 'the decider has voted',
    code: 'CONFLICT',
    says: 'already approved this',
    break: (at) => (at.approval.votes = [aVote(at.decision.approver.principal.id)]),
  },
  {
    name: 'the decider has handed it over',
    code: 'CONFLICT',
    says: 'has handed this over',
    break: (at) => (at.approval.handovers = [aHandover('prn_operator', 'prn_other')]),
  },
  {
    name: 'another stage is being asked',
    code: 'FORBIDDEN',
    says: 'stage 1 of 2; it is decided by role admin',
    break: (at) =>
      (at.approval.rule = {
        ...at.approval.rule,
        stages: [
          { approvals: 2, approvers: { roles: ['admin'], groups: [] } },
          { approvals: 1, approvers: { roles: [], groups: [] } },
        ],
      }),
  },
  {
    name: 'the login is too old',
    code: 'FORBIDDEN',
    says: 'log in again',
    break: (at) => {
      at.approval.rule = { ...at.approval.rule, freshLoginMs: 60_000 };
      at.decision.loginAtMs = now - 60_001;
    },
  },
];
type Scene = { approval: ApprovalFacts; decision: DecisionFacts };

function scene(): Scene {
  return { approval: anApproval({ quorum: 2 }), decision: aDecision() };
}

function aHandover(from: string, to: string, stages = [0]): Handover {
  const [fromName, toName] = [from, to];
  return { from, fromName, fromPerson: from, to, toName, toPerson: to, stages, reason: null, at: '' };
}

describe('decide: refusals', () => {
  test.each(wrongs)('$name: $code', ({ code, says, break: breakIt }) => {
    const at = scene();
    breakIt(at);
    const verdict = decide(at.approval, at.decision, now);
    expect(verdict).toMatchObject({ refused: code });
    expect(isRefusal(verdict) && verdict.message).toContain(says);
  });

  test.each(wrongs.map((wrong, index) => ({ ...wrong, index })))(
    '$name is told before everything that comes after it',
    ({ index, code, says }) => {
      const at = scene();
      for (const wrong of wrongs.slice(index).reverse()) wrong.break(at);
      const verdict = decide(at.approval, at.decision, now);
      expect(verdict).toMatchObject({ refused: code });
      expect(isRefusal(verdict) && verdict.message).toContain(says);
    },
  );

  test.each(wrongs)('a rejection is refused for the same reason: $name', ({ code, break: breakIt }) => {
    const at = scene();
    breakIt(at);
    at.decision.decision = 'reject';
    expect(decide(at.approval, at.decision, now)).toMatchObject({ refused: code });
  });

  test.each(['agent', 'service'] as const)('a principal of kind %s never decides, even as admin', (kind) => {
    const approver = anApprover({ kind, role: 'admin' });
    expect(decide(anApproval(), aDecision({ approver }), now)).toMatchObject({ refused: 'FORBIDDEN' });
  });

  test('an admin who requested it cannot decide it either', () => {
    const approver = anApprover({ id: 'prn_requester', role: 'admin' });
    expect(decide(anApproval(), aDecision({ approver }), now)).toMatchObject({ refused: 'FORBIDDEN' });
  });

  test('a disabled person does not decide', () => {
    const approver = anApprover({ active: false });
    expect(decide(anApproval(), aDecision({ approver }), now)).toMatchObject({ refused: 'FORBIDDEN' });
  });

  test('a person permitted for other targets only does not decide', () => {
    const permissions = ['approvals:decide@probe:bank*'];
    const approver = anApprover({ permissions });
    expect(decide(anApproval(), aDecision({ approver }), now)).toMatchObject({ refused: 'FORBIDDEN' });
    const bank = anApproval({ target: 'probe:bank-1' });
    expect(decide(bank, aDecision({ approver }), now)).toMatchObject({ state: 'approved' });
  });

  test.each(approvalStates.filter((state) => state !== 'open'))(
    'an approval that is %s is never decided again, and the refusal says who and when',
    (state) => {
      const approval = anApproval({
        state,
        votes: [aVote('prn_a', 'Ann')],
        decidedAt: '2026-02-03T04:05:06.000Z',
      });
      const verdict = decide(approval, aDecision(), now);
      expect(verdict).toMatchObject({
        refused: state === 'expired' ? 'EXPIRED' : 'CONFLICT',
        details: { state, decidedBy: 'Ann', decidedAt: '2026-02-03T04:05:06.000Z' },
      });
    },
  );

  test('a stale decision is told both digests', () => {
    expect(decide(anApproval(), aDecision({ digest: 'd0' }), now)).toMatchObject({
      details: { current: 'd1', yours: 'd0' },
    });
  });
});

describe('four eyes are those of persons (TRUST 4.11)', () => {
  test('the owner of the agent that asks cannot decide', () => {
    const approval = anApproval({ requestedBy: 'prn_bot', requestedByPerson: 'prn_operator' });
    expect(decide(approval, aDecision(), now)).toMatchObject({ refused: 'FORBIDDEN' });
  });

  test('TRUST 4.13: a second account of the same person counts once', () => {
    const votes = [{ ...aVote('prn_first'), person: 'prn_person' }];
    const approver = anApprover({ id: 'prn_second', person: 'prn_person' });
    expect(decide(anApproval({ quorum: 2, votes }), aDecision({ approver }), now)).toMatchObject({
      refused: 'CONFLICT',
    });
  });

  const gifts = [
    aRight({ what: 'account' }),
    aRight({ what: 'key' }),
    aRight({ what: 'role', name: 'operator', permissions: ['approvals:decide'] }),
    aRight({ what: 'grant', name: 'operator', permissions: ['approvals:decide'] }),
    aRight({ what: 'group', name: 'sre' }),
  ];
  const only = (gift: (typeof gifts)[number]) => {
    const principal = anApprover({ permissions: ['approvals:decide'] }).principal;
    const base = gift.what === 'group' || gift.what === 'account' || gift.what === 'key';
    const basis = base ? [aRight({ what: 'role', permissions: ['approvals:decide'] })] : [];
    return { principal, active: true, rights: [...basis, gift] };
  };
  const rule = aRule({ stages: [{ approvals: 1, approvers: { roles: [], groups: ['sre'] } }] });
  const forGift = (what: string) => (what === 'group' ? anApproval({ rule }) : anApproval());

  test.each(gifts)('a $what that the requester gave after asking does not count', (gift) => {
    for (const by of ['prn_requester', 'prn_asker']) {
      const approval = { ...forGift(gift.what), askedByPerson: 'prn_asker' };
      const late = { ...gift, givenBy: by, givenAtMs: now };
      expect(decide(approval, aDecision({ approver: only(late) }), now)).toMatchObject({
        refused: 'FORBIDDEN',
      });
    }
  });

  test.each(gifts)('a $what given before asking, or by somebody else, counts', (gift) => {
    for (const given of [
      { givenBy: 'prn_requester', givenAtMs: now - 1 },
      { givenBy: 'prn_admin', givenAtMs: now + 5 },
      { givenBy: null, givenAtMs: now + 5 },
    ])
      expect(
        decide(forGift(gift.what), aDecision({ approver: only({ ...gift, ...given }) }), now),
      ).toMatchObject({ state: 'approved' });
  });
});

describe('stages', () => {
  test('follow each other, each with people of its own', () => {
    const first = anApproval({ rule: staged });
    expect(decide(first, aDecision({ approver: admin }), now)).toMatchObject({
      refused: 'FORBIDDEN',
      details: { stage: 1, groups: ['sre'] },
    });
    expect(decide(first, aDecision({ approver: sre }), now)).toEqual({
      state: 'open',
      votesLeft: 2,
      stage: 0,
    });
    const second = anApproval({ rule: staged, votes: [{ ...aVote('prn_sre'), stage: 0 }] });
    expect(decide(second, aDecision({ approver: admin }), now)).toEqual({
      state: 'open',
      votesLeft: 1,
      stage: 1,
    });
    const other = anApprover({ id: 'prn_other', groups: ['sre'] });
    expect(decide(second, aDecision({ approver: other }), now)).toMatchObject({ refused: 'FORBIDDEN' });
  });

  test('one person counts once over all of them', () => {
    const both = anApprover({ id: 'prn_both', role: 'admin', groups: ['sre'] });
    const approval = anApproval({ rule: staged, votes: [{ ...aVote('prn_both'), stage: 0 }] });
    expect(decide(approval, aDecision({ approver: both }), now)).toMatchObject({ refused: 'CONFLICT' });
  });

  test('once escalated, those it is escalated to may decide as well', () => {
    const rule = { ...staged, escalateTo: { roles: ['operator'], groups: [] } };
    const late = anApprover();
    expect(decide(anApproval({ rule }), aDecision({ approver: late }), now)).toMatchObject({
      refused: 'FORBIDDEN',
    });
    const escalated = anApproval({ rule, escalatedAtMs: now });
    expect(decide(escalated, aDecision({ approver: late }), now)).toMatchObject({ state: 'open' });
    expect(decide(escalated, aDecision({ approver: sre }), now)).toMatchObject({ state: 'open' });
  });
});

describe('findings', () => {
  const findings = [
    { id: 'F1', level: 'warn' as const, text: 'writes outside' },
    { id: 'F2', level: 'warn' as const, text: 'is large' },
  ];

  test('each warning has to be acknowledged by its id', () => {
    const approval = anApproval({ findings });
    const say = (...acknowledgedFindings: string[]) =>
      decide(approval, aDecision({ acknowledgedFindings }), now);
    expect(say()).toMatchObject({ refused: 'INVALID', details: { findings: ['F1', 'F2'] } });
    expect(say('F2', 'F9')).toMatchObject({ refused: 'INVALID', details: { findings: ['F1'] } });
    expect(say('F2', 'F1')).toMatchObject({ state: 'approved' });
  });

  test('one that blocks makes approval impossible, also with the glass broken; rejecting stays possible', () => {
    const blocked = anApproval({ findings: [...findings, { id: 'B1', level: 'block', text: 'network' }] });
    const acknowledgedFindings = ['F1', 'F2', 'B1'];
    expect(decide(blocked, aDecision({ acknowledgedFindings }), now)).toMatchObject({ refused: 'CONFLICT' });
    const approver = breaker('prn_b');
    const broken = aDecision({ acknowledgedFindings, approver, breakGlass: true, reason: 'now' });
    expect(decide(blocked, broken, now)).toMatchObject({ refused: 'CONFLICT' });
    expect(decide(blocked, aDecision({ decision: 'reject' }), now)).toMatchObject({ state: 'rejected' });
  });
});

describe('a reason and a fresh login (TRUST 4.17)', () => {
  const careful = anApproval({ rule: aRule({ reasonRequired: true, freshLoginMs: 900_000 }) });

  test.each([null, '', '   '])(
    'approving without a reason (%j) is refused where the policy wants one',
    (reason) => {
      expect(decide(careful, aDecision({ reason }), now)).toMatchObject({ refused: 'INVALID' });
      expect(decide(careful, aDecision({ reason: 'checked' }), now)).toMatchObject({ state: 'approved' });
    },
  );

  test('rejecting needs none', () => {
    expect(decide(careful, aDecision({ decision: 'reject' }), now)).toMatchObject({ state: 'rejected' });
  });

  test('a login counts for as long as the policy says, and does not age on the way to the run', () => {
    const at = (loginAtMs: number, madeAtMs: number | null) =>
      decide(careful, aDecision({ reason: 'ok', loginAtMs, madeAtMs }), now);
    expect(at(now - 900_000, null)).toMatchObject({ state: 'approved' });
    expect(at(now - 900_001, null)).toMatchObject({ refused: 'FORBIDDEN' });
    expect(at(now - 900_001, now - 1)).toMatchObject({ state: 'approved' });
  });
});

describe('breaking the glass (TRUST 4.18)', () => {
  const rule = { ...staged, reasonRequired: false };
  const say = (approval: ApprovalFacts, approver = breaker('prn_b1'), reason: string | null = 'fire') =>
    decide(approval, aDecision({ approver, breakGlass: true, reason }), now);

  test('needs a permission of its own, a reason, and two people; stages and lists do not matter then', () => {
    const approval = anApproval({ rule });
    expect(say(approval, admin)).toMatchObject({ refused: 'FORBIDDEN' });
    expect(say(approval, breaker('prn_b1'), ' ')).toMatchObject({ refused: 'INVALID' });
    expect(say(approval)).toMatchObject({ state: 'open', votesLeft: 1 });
    const once = anApproval({ rule, votes: [{ ...aVote('prn_b1'), breakGlass: true }] });
    expect(say(once)).toMatchObject({ refused: 'CONFLICT' });
    expect(say(once, breaker('prn_b2'))).toMatchObject({ state: 'approved', votesLeft: 0 });
  });

  test('does not help whoever asks', () => {
    expect(say(anApproval({ rule }), breaker('prn_requester'))).toMatchObject({ refused: 'FORBIDDEN' });
  });

  test('counts for no stage, and a vote of a stage breaks no glass', () => {
    const mixed = anApproval({ quorum: 2, votes: [{ ...aVote('prn_b1'), breakGlass: true }] });
    expect(decide(mixed, aDecision(), now)).toMatchObject({ state: 'open', votesLeft: 1 });
    const voted = anApproval({ quorum: 2, votes: [aVote('prn_a')] });
    expect(say(voted)).toMatchObject({ state: 'open', votesLeft: 1 });
  });
});

describe('handOver', () => {
  const give = (approval: ApprovalFacts, giver = sre, receiver = admin) =>
    handOver(approval, { giver, receiver, reason: 'on holiday', at: 'now' }, now);

  test('gives the vote to another person, who may then vote in the stages of the giver; the giver may not', () => {
    const approval = anApproval({ rule: staged });
    const handover = give(approval);
    expect(handover).toMatchObject({ from: 'prn_sre', to: 'prn_admin', stages: [0], reason: 'on holiday' });
    if (isRefusal(handover)) throw new Error(handover.message);
    const handed = { ...approval, handovers: [handover] };
    expect(decide(handed, aDecision({ approver: sre }), now)).toMatchObject({ refused: 'CONFLICT' });
    expect(decide(handed, aDecision({ approver: admin }), now)).toMatchObject({ state: 'open', stage: 0 });
    expect(give(handed)).toMatchObject({ refused: 'CONFLICT' });
    const back = give(handed, admin, sre);
    if (isRefusal(back)) throw new Error(back.message);
    const returned = { ...approval, handovers: [handover, back] };
    expect(decide(returned, aDecision({ approver: sre }), now)).toMatchObject({ state: 'open' });
    expect(decide(returned, aDecision({ approver: admin }), now)).toMatchObject({ refused: 'CONFLICT' });
  });

  test.each([
    ['the requester', anApprover({ id: 'prn_requester', role: 'admin' }), 'FORBIDDEN'],
    ['an agent', anApprover({ id: 'prn_x', kind: 'agent', role: 'admin' }), 'FORBIDDEN'],
    ['somebody who may not decide', anApprover({ id: 'prn_x', role: 'viewer' }), 'FORBIDDEN'],
    ['somebody disabled', anApprover({ id: 'prn_x', active: false }), 'FORBIDDEN'],
    ['somebody who voted', anApprover({ id: 'prn_voted' }), 'CONFLICT'],
    ['the giver', sre, 'INVALID'],
  ])('to %s is refused', (_who, receiver, code) => {
    const rule = { ...staged, stages: staged.stages.map((stage) => ({ ...stage, approvals: 2 })) };
    const approval = anApproval({ rule, votes: [aVote('prn_voted')] });
    expect(give(approval, sre, receiver)).toMatchObject({ refused: code });
  });

  test('is only for those who could vote, only while it is open, and only where the policy allows it', () => {
    const approval = anApproval({ rule: staged });
    expect(give(approval, anApprover(), admin)).toMatchObject({ refused: 'FORBIDDEN' });
    expect(give({ ...approval, state: 'approved' })).toMatchObject({ refused: 'CONFLICT' });
    const closed = anApproval({ rule: { ...staged, handOverAllowed: false } });
    expect(give(closed)).toMatchObject({ refused: 'FORBIDDEN' });
  });
});

describe('checkEdit', () => {
  const edit = (approval: ApprovalFacts, given: Partial<DecisionFacts> = {}) =>
    checkEdit(approval, aDecision(given), now);

  test('an eligible approver may edit, though a reason or an acknowledgement is missing', () => {
    const rule = aRule({ reasonRequired: true });
    const findings = [{ id: 'F1', level: 'block' as const, text: 'x' }];
    expect(edit(anApproval({ rule, findings }))).toBeNull();
  });

  test.each(wrongs)('$name: $code', ({ code, break: breakIt }) => {
    const at = scene();
    breakIt(at);
    expect(checkEdit(at.approval, at.decision, now)).toMatchObject({ refused: code });
  });

  test('only where the policy allows it, and only content that a task has', () => {
    expect(edit(anApproval({ rule: aRule({ editAllowed: false }) }))).toMatchObject({ refused: 'FORBIDDEN' });
    expect(edit(anApproval({ kind: 'outcome' }))).toMatchObject({ refused: 'FORBIDDEN' });
  });

  test('whoever wrote the content at hand never approves it, whoever asked first may', () => {
    const edited = anApproval({ requestedBy: 'prn_operator', requestedByPerson: 'prn_operator' });
    expect(decide(edited, aDecision(), now)).toMatchObject({ refused: 'FORBIDDEN' });
    const asker = anApprover({ id: 'prn_requester' });
    expect(decide(edited, aDecision({ approver: asker }), now)).toMatchObject({ state: 'approved' });
  });
});

describe('settledBy', () => {
  test('without a vote nobody is named', () => {
    expect(settledBy({ state: 'withdrawn', votes: [], decidedAt: null })).toEqual({
      state: 'withdrawn',
      decidedBy: null,
      decidedAt: null,
    });
  });

  test('the last voter is who decided', () => {
    const votes = [aVote('prn_a', 'Ann'), aVote('prn_b', 'Ben')];
    expect(settledBy({ state: 'approved', votes, decidedAt: null })).toMatchObject({
      decidedBy: 'Ben',
      decidedAt: '2026-01-01T00:00:00.000Z',
    });
  });
});
