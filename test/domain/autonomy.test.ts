import { describe, expect, test } from 'vitest';
import {
  afterVerdict,
  type AutonomyFacts,
  checkGrant,
  checkStanding,
  classOfTarget,
  type GrantRequest,
  isInForce,
  noAutonomy,
  type StandingRequest,
} from '../../domain/autonomy.ts';
import { permissionsOf } from '../../domain/access.ts';
import { builtInPolicy } from '../../domain/policy.ts';
import { isRefusal } from '../../domain/refusal.ts';
import { type Verdict, verdicts } from '../../domain/verdict.ts';

const run = (given: Verdict[], from: AutonomyFacts = noAutonomy) =>
  given.reduce((facts, verdict) => afterVerdict(facts, verdict), from);
const helped = (count: number): Verdict[] => Array.from({ length: count }, () => 'recovered-by-action');

describe('what verdicts make of a pair', () => {
  test.each<[string, Verdict[], AutonomyFacts]>([
    ['four that helped are not enough', helped(4), { helped: 4, failed: 0, streak: 4, state: 'manual' }],
    ['five in a row are suggested', helped(5), { helped: 5, failed: 0, streak: 5, state: 'suggested' }],
    [
      'what recovered anyway neither counts nor breaks the row',
      [...helped(3), 'recovered-anyway', ...helped(2)],
      { helped: 5, failed: 0, streak: 5, state: 'suggested' },
    ],
    [
      'five in a row are not enough below nine of ten',
      ['no-change', ...helped(5)],
      { helped: 5, failed: 1, streak: 5, state: 'manual' },
    ],
    [
      'nine of ten with the last nine in a row are',
      ['worse', ...helped(9)],
      { helped: 9, failed: 1, streak: 9, state: 'suggested' },
    ],
    [
      'one without effect takes the suggestion back',
      [...helped(9), 'no-change'],
      { helped: 9, failed: 1, streak: 0, state: 'manual' },
    ],
  ])('%s', (_what, given, facts) => {
    expect(run(given)).toEqual(facts);
  });

  test('no number of verdicts grants anything', () => {
    for (let count = 0; count < 100; count += 1) expect(run(helped(count)).state).not.toBe('granted');
  });

  test.each(verdicts)('a granted pair after %s', (verdict) => {
    const granted: AutonomyFacts = { helped: 50, failed: 0, streak: 50, state: 'granted' };
    const fails = verdict === 'no-change' || verdict === 'worse';
    expect(afterVerdict(granted, verdict).state).toBe(fails ? 'manual' : 'granted');
  });
});

describe('a grant', () => {
  const asked: GrantRequest = {
    pair: 'repair.api.endpoint|probe',
    row: { state: 'suggested', version: 3, expiresAtMs: null },
    person: { name: 'Ada', kind: 'human' },
    version: 3,
    hasHighRisk: false,
  };
  test.each<[string, Partial<GrantRequest>, string | null]>([
    ['a person grants what is suggested', {}, null],
    ['a service does not', { person: { name: 's', kind: 'service' } }, 'FORBIDDEN'],
    ['high risk is never granted', { hasHighRisk: true }, 'FORBIDDEN'],
    ['another version than was read', { version: 2 }, 'STALE'],
    ['what is manual', { row: { ...asked.row, state: 'manual' } }, 'CONFLICT'],
    ['what is granted', { row: { ...asked.row, state: 'granted' } }, 'CONFLICT'],
    ['what was granted until now', { row: { state: 'granted', version: 3, expiresAtMs: 1000 } }, null],
  ])('%s', (_what, given, code) => {
    const refusal = checkGrant({ ...asked, ...given }, 1000);
    expect(refusal?.refused ?? null).toBe(code);
  });

  test('counts until its time is over', () => {
    expect(isInForce({ state: 'granted', expiresAtMs: 10 }, 9)).toBe(true);
    expect(isInForce({ state: 'granted', expiresAtMs: 10 }, 10)).toBe(false);
    expect(isInForce({ state: 'suggested', expiresAtMs: null }, 0)).toBe(false);
  });
});

describe('a standing approval', () => {
  const principal = {
    ...{ id: 'prn_ada', kind: 'human' as const, name: 'Ada', role: 'operator', person: 'prn_ada' },
    permissions: permissionsOf('operator'),
  };
  const grantor = { principal, active: true, rights: [] };
  const { rule } = builtInPolicy('medium');
  const approval: StandingRequest['approval'] = {
    ...{ id: 'apr_1', kind: 'task', state: 'open', digest: 'd', target: 'probe:1', rule, findings: [] },
    ...{ votes: [], handovers: [], requestedBy: 'prn_bob', requestedByPerson: 'prn_bob' },
    ...{ askedByPerson: 'prn_bob', askedAtMs: 0, escalatedAtMs: null, expiresAtMs: 1e12, decidedAt: null },
  };
  const asked: StandingRequest = {
    ...{ approval, grantor, grantReason: 'earned', origin: 'halo', risk: 'medium', hasAgent: true },
  };
  test('counts where the vote of the grantor would be enough', () => {
    expect(checkStanding(asked, 0)).toBeNull();
  });
  test.each<[string, Partial<StandingRequest>]>([
    ['work of others than HALO', { origin: 'api' }],
    ['high risk', { risk: 'high' }],
    ['work that no agent is bound to', { hasAgent: false }],
    ['a policy of two', { approval: { ...approval, rule: builtInPolicy('high').rule } }],
    ['a policy with a fresh login', { approval: { ...approval, rule: { ...rule, freshLoginMs: 1 } } }],
    [
      'a policy with manual dispatch',
      { approval: { ...approval, rule: { ...rule, dispatchMode: 'manual' } } },
    ],
    ['an outcome', { approval: { ...approval, kind: 'outcome' } }],
    ['the work of the grantor', { approval: { ...approval, requestedByPerson: 'prn_ada' } }],
    ['a grantor who is not active', { grantor: { ...grantor, active: false } }],
    [
      'a grantor who may not decide',
      { grantor: { ...grantor, principal: { ...principal, permissions: [] } } },
    ],
    ['what was decided', { approval: { ...approval, state: 'rejected' } }],
    ['what is over', { approval: { ...approval, expiresAtMs: 0 } }],
    [
      'what a check warns of',
      { approval: { ...approval, findings: [{ id: 'f', level: 'warn', text: 'look' }] } },
    ],
  ])('does not count for %s', (_what, given) => {
    expect(isRefusal(checkStanding({ ...asked, ...given }, 0) ?? {})).toBe(true);
  });
});

test('the class of a target is the word before its first colon', () => {
  expect(['probe:prb_1', 'agent:a:b', 'shop'].map(classOfTarget)).toEqual(['probe', 'agent', 'shop']);
});
