import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { permissionsOf, type Principal } from '../../domain/access.ts';
import {
  type ApprovalFacts,
  approvalStates,
  decide,
  type DecisionFacts,
  settledBy,
} from '../../domain/approval.ts';
import { isRefusal } from '../../domain/refusal.ts';
import { propertyRuns } from './runs.ts';

const now = 1_000_000;

function aPrincipal(given: Partial<Principal> = {}): Principal {
  const { id = 'prn_operator', role = 'operator' } = given;
  const permissions = permissionsOf(role);
  return { id, kind: 'human', name: 'Olga', role, person: id, permissions, ...given };
}

function anApproval(given: Partial<ApprovalFacts> = {}): ApprovalFacts {
  return {
    id: 'apr_1',
    state: 'open',
    digest: 'd1',
    requestedBy: 'prn_requester',
    requiredApprovals: 1,
    votes: [],
    expiresAtMs: now + 1,
    decidedAt: null,
    ...given,
  };
}

function aDecision(given: Partial<DecisionFacts> = {}): DecisionFacts {
  return {
    approvalId: 'apr_1',
    decision: 'approve',
    digest: 'd1',
    reason: null,
    principal: aPrincipal(),
    principalActive: true,
    ...given,
  };
}

function aVote(principalId: string, name = principalId) {
  return { principalId, name, decision: 'approve' as const, at: '2026-01-01T00:00:00.000Z', reason: null };
}

describe('decide: what counts', () => {
  test('one yes of another person ends an approval that needs one', () => {
    expect(decide(anApproval(), aDecision(), now)).toEqual({ state: 'approved', votesLeft: 0 });
  });

  test('one no ends it, whatever the quorum', () => {
    const approval = anApproval({ requiredApprovals: 3, votes: [aVote('prn_a'), aVote('prn_b')] });
    expect(decide(approval, aDecision({ decision: 'reject' }), now)).toEqual({
      state: 'rejected',
      votesLeft: 0,
    });
  });

  test.each([
    [2, 0, { state: 'open', votesLeft: 1 }],
    [2, 1, { state: 'approved', votesLeft: 0 }],
    [3, 1, { state: 'open', votesLeft: 1 }],
    [3, 2, { state: 'approved', votesLeft: 0 }],
  ])('of %i needed votes %i are there: one more makes %o', (requiredApprovals, given, expected) => {
    const votes = Array.from({ length: given }, (_, index) => aVote(`prn_${index}`));
    expect(decide(anApproval({ requiredApprovals, votes }), aDecision(), now)).toEqual(expected);
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
    break: (at) => (at.decision.principal = { ...at.decision.principal, kind: 'agent' }),
  },
  {
    name: 'the decider lacks the role',
    code: 'FORBIDDEN',
    says: 'approvals:decide',
    break: (at) => (at.decision.principal = aPrincipal({ role: 'viewer' })),
  },
  {
    name: 'the decider requested it',
    code: 'FORBIDDEN',
    says: 'four-eyes',
    break: (at) => (at.approval.requestedBy = at.decision.principal.id),
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
    name: 'the decider has voted',
    code: 'CONFLICT',
    says: 'already approved this',
    break: (at) => (at.approval.votes = [aVote(at.decision.principal.id)]),
  },
];
type Scene = { approval: ApprovalFacts; decision: DecisionFacts };

function scene(): Scene {
  return { approval: anApproval({ requiredApprovals: 2 }), decision: aDecision() };
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
    const principal = aPrincipal({ kind, role: 'admin' });
    expect(decide(anApproval(), aDecision({ principal }), now)).toMatchObject({ refused: 'FORBIDDEN' });
  });

  test('an admin who requested it cannot decide it either', () => {
    const principal = aPrincipal({ id: 'prn_requester', role: 'admin' });
    expect(decide(anApproval(), aDecision({ principal }), now)).toMatchObject({ refused: 'FORBIDDEN' });
  });

  test('a disabled person does not decide', () => {
    expect(decide(anApproval(), aDecision({ principalActive: false }), now)).toMatchObject({
      refused: 'FORBIDDEN',
    });
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

const people: Principal[] = [
  aPrincipal({ id: 'prn_requester', role: 'admin', name: 'the requester' }),
  aPrincipal({ id: 'prn_a', role: 'operator' }),
  aPrincipal({ id: 'prn_b', role: 'admin' }),
  aPrincipal({ id: 'prn_c', role: 'operator' }),
  aPrincipal({ id: 'prn_viewer', role: 'viewer' }),
  aPrincipal({ id: 'prn_agent', kind: 'agent', role: 'agent' }),
  aPrincipal({ id: 'prn_service', kind: 'service', role: 'admin' }),
];

type Step =
  | { do: 'vote'; who: number; decision: 'approve' | 'reject'; digest: string; active: boolean }
  | { do: 'wait'; ms: number }
  | { do: 'expire' }
  | { do: 'void' }
  | { do: 'withdraw' };

const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('vote' as const),
      who: fc.nat(people.length - 1),
      decision: fc.oneof(
        { weight: 4, arbitrary: fc.constant('approve' as const) },
        { weight: 1, arbitrary: fc.constant('reject' as const) },
      ),
      digest: fc.constantFrom('d1', 'd1', 'd1', 'd0'),
      active: fc.constantFrom(true, true, true, false),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(40) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'expire' } as const) },
  { weight: 1, arbitrary: fc.constant({ do: 'void' } as const) },
  { weight: 1, arbitrary: fc.constant({ do: 'withdraw' } as const) },
);

/** What the record does with a step: the rule is asked, and what is not open stays as it is. */
function apply(approval: ApprovalFacts, step: Step, at: number): ApprovalFacts {
  switch (step.do) {
    case 'wait':
      return approval;
    case 'expire':
      return approval.state === 'open' && at >= approval.expiresAtMs
        ? { ...approval, state: 'expired' }
        : approval;
    case 'void':
      return approval.state === 'open' ? { ...approval, state: 'void' } : approval;
    case 'withdraw':
      return approval.state === 'open' ? { ...approval, state: 'withdrawn' } : approval;
    case 'vote': {
      const principal = people[step.who] ?? aPrincipal();
      const verdict = decide(
        approval,
        aDecision({ principal, decision: step.decision, digest: step.digest, principalActive: step.active }),
        at,
      );
      if (isRefusal(verdict)) return approval;
      const vote = { ...aVote(principal.id), decision: step.decision };
      return { ...approval, state: verdict.state, votes: [...approval.votes, vote] };
    }
  }
}

describe('the life of an approval', () => {
  test('whatever happens in whatever order, it keeps its promises', () => {
    fc.assert(
      fc.property(fc.array(aStep, { maxLength: 30 }), fc.integer({ min: 1, max: 3 }), (steps, quorum) => {
        let approval = anApproval({ requiredApprovals: quorum, expiresAtMs: now + 100 });
        let at = now;
        for (const step of steps) {
          if (step.do === 'wait') at += step.ms;
          const before = approval;
          approval = apply(before, step, at);
          const deciders = new Set(approval.votes.map((vote) => vote.principalId));

          if (before.state !== 'open') expect(approval).toEqual(before);
          if (approval.votes.length > before.votes.length) {
            expect(step).toMatchObject({ do: 'vote', digest: 'd1', active: true });
            expect(at).toBeLessThan(approval.expiresAtMs);
          }
          expect(deciders.size).toBe(approval.votes.length);
          for (const id of deciders) expect(['prn_a', 'prn_b', 'prn_c']).toContain(id);
          const approvals = approval.votes.filter((vote) => vote.decision === 'approve').length;
          const rejections = approval.votes.length - approvals;
          if (approval.state === 'approved') expect([approvals, rejections]).toEqual([quorum, 0]);
          if (approval.state === 'rejected') expect(rejections).toBe(1);
          if (approval.state === 'open') {
            expect(rejections).toBe(0);
            expect(approvals).toBeLessThan(quorum);
          }
        }
      }),
      propertyRuns,
    );
  });

  test('with enough different people in time it is approved, in whatever order they come', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray([1, 2, 3], { minLength: 3 }),
        fc.integer({ min: 1, max: 3 }),
        (order, quorum) => {
          let approval = anApproval({ requiredApprovals: quorum });
          for (const who of order)
            approval = apply(
              approval,
              { do: 'vote', who, decision: 'approve', digest: 'd1', active: true },
              now,
            );
          expect(approval.state).toBe('approved');
          expect(approval.votes).toHaveLength(quorum);
        },
      ),
      propertyRuns,
    );
  });
});
