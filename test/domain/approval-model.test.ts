import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkEdit, decide, type Decision, handOver, type Vote } from '../../domain/approval.ts';
import { type ApprovalFacts, type Approver, whoLapsed } from '../../domain/approver.ts';
import { isRefusal } from '../../domain/refusal.ts';
import { aDecision, anApproval, anApprover, aRight, aRule, askedAtMs } from '../support/approvals.ts';
import { propertyRuns } from './runs.ts';

/*
 * The life of a task's approvals, as a model that knows nothing of the rules' code: who may say what is worked out here
 * a second time, from plain sets, and compared with every answer of `domain/`. After each command all promises are
 * checked over all approvals there have been. Stage 1 asks the group, stage 2 two of the admins; an escalation lets the
 * operators in. `FAST_CHECK_RUNS=100000` tries longer.
 */
type Kind = 'human' | 'agent';
type Person = { id: string; person: string; kind: Kind; role: string; groups: string[] };
const cast: Person[] = [
  { id: 'asker', person: 'asker', kind: 'human', role: 'admin', groups: ['sre'] },
  { id: 'ann', person: 'ann', kind: 'human', role: 'admin', groups: ['sre'] },
  { id: 'ben', person: 'ben', kind: 'human', role: 'admin', groups: [] },
  { id: 'cat', person: 'cat', kind: 'human', role: 'admin', groups: [] },
  { id: 'dan', person: 'dan', kind: 'human', role: 'operator', groups: ['sre'] },
  { id: 'eve', person: 'eve', kind: 'human', role: 'operator', groups: [] },
  { id: 'bot', person: 'asker', kind: 'agent', role: 'agent', groups: ['sre'] },
  { id: 'ann2', person: 'ann', kind: 'human', role: 'operator', groups: ['sre'] },
  { id: 'gil', person: 'gil', kind: 'human', role: 'break-glass', groups: [] },
  { id: 'hal', person: 'hal', kind: 'human', role: 'break-glass', groups: [] },
  { id: 'pup', person: 'pup', kind: 'human', role: 'operator', groups: [] },
];
const who = (at: number): Person => cast[at] ?? (cast[0] as Person);
const lifeMs = 100;
const rule = aRule({
  stages: [
    { approvals: 1, approvers: { roles: [], groups: ['sre'] } },
    { approvals: 2, approvers: { roles: ['admin'], groups: [] } },
  ],
  escalateTo: { roles: ['operator'], groups: [] },
  reasonRequired: true,
});

/** The record: facts as the database would hold them, moved by what the rules answer and by nothing else. */
type Real = {
  approvals: ApprovalFacts[];
  nowMs: number;
  revoked: Set<string>;
  late: Set<string>;
  ran: string[];
};

/** The naive bookkeeping of the approval that is asked about now. */
type Model = {
  state: string;
  author: string;
  voted: Map<string, { stage: number; glass: boolean; as: string; handed: boolean }>;
  /** Who holds whose vote in which stages: the latest word on each person. */
  gave: Set<string>;
  received: Map<string, Set<number>>;
  escalated: boolean;
  endsAtMs: number;
  revoked: Set<string>;
  late: Set<string>;
};

function approverOf(real: Real, { id, person, kind, role, groups }: Person): Approver {
  const rights = real.late.has(id)
    ? [aRight({ what: 'group', name: 'sre', givenBy: 'asker', givenAtMs: askedAtMs })]
    : [];
  return anApprover({ id, person, kind, role, groups, name: id, active: !real.revoked.has(id), rights });
}

function current(real: Real): ApprovalFacts {
  const last = real.approvals.at(-1);
  if (last === undefined) throw new Error('there is always an approval');
  return last;
}

function put(real: Real, facts: ApprovalFacts): void {
  real.approvals[real.approvals.length - 1] = facts;
}

const countIn = (model: Model, stage: number): number =>
  [...model.voted.values()].filter((vote) => !vote.glass && vote.stage === stage).length;
const stageNow = (model: Model): number => (countIn(model, 0) < 1 ? 0 : 1);
const glassIn = (model: Model): number => [...model.voted.values()].filter(({ glass }) => glass).length;

function namedFor(model: Model, { id, role, groups }: Person, stage: number): boolean {
  if (stage === 0 ? groups.includes('sre') : role === 'admin') return true;
  return (model.escalated && role === 'operator') || (model.received.get(id)?.has(stage) ?? false);
}

/** Whether somebody may have a say now, worked out from the sets alone. */
function maySpeak(model: Model, real: Real, decider: Person, glass: boolean): boolean {
  const permitted = glass ? decider.role === 'break-glass' : ['admin', 'operator'].includes(decider.role);
  return (
    model.state === 'open' &&
    real.nowMs < model.endsAtMs &&
    decider.kind === 'human' &&
    permitted &&
    !model.revoked.has(decider.id) &&
    decider.person !== model.author &&
    !model.voted.has(decider.person) &&
    (glass || (!model.gave.has(decider.person) && namedFor(model, decider, stageNow(model))))
  );
}

type Step = fc.Command<Model, Real>;

const vote = (
  at: number,
  decision: Decision,
  given: { glass: boolean; fresh: boolean; reason: boolean },
): Step => ({
  check: () => true,
  toString: () => `vote(${who(at).id}, ${decision}, ${JSON.stringify(given)})`,
  run(model, real) {
    const decider = who(at);
    const facts = current(real);
    const glass = given.glass && decision === 'approve';
    const verdict = decide(
      facts,
      aDecision({
        decision,
        approver: approverOf(real, decider),
        digest: given.fresh ? facts.digest : 'older',
        reason: given.reason ? 'because' : null,
        breakGlass: glass,
      }),
      real.nowMs,
    );
    const expected =
      maySpeak(model, real, decider, glass) && given.fresh && (decision === 'reject' || given.reason);
    expect(!isRefusal(verdict)).toBe(expected);
    if (isRefusal(verdict)) return check(real);
    const cast: Vote = {
      ...{ principalId: decider.id, name: decider.id, person: decider.person, decision },
      ...{ at: String(real.nowMs), reason: null, stage: verdict.stage, breakGlass: glass },
    };
    put(real, { ...facts, votes: [...facts.votes, cast], state: verdict.state });
    if (decision === 'reject') model.state = 'rejected';
    else {
      const handed = model.received.has(decider.id);
      model.voted.set(decider.person, { stage: stageNow(model), glass, as: decider.id, handed });
      if (glassIn(model) >= 2 || countIn(model, 1) >= 2) model.state = 'approved';
    }
    expect(verdict.state).toBe(model.state);
    check(real);
  },
});

function reopen(model: Model, real: Real, author: string): void {
  const before = current(real);
  const ordinal = real.approvals.length + 1;
  put(real, { ...before, state: 'void' });
  real.approvals.push({
    ...anApproval({ rule, askedByPerson: 'asker' }),
    ...{ id: `apr_${ordinal}`, digest: `d${ordinal}`, requestedBy: author, requestedByPerson: author },
    expiresAtMs: real.nowMs + lifeMs,
  });
  Object.assign(model, fresh(author, real.nowMs), { revoked: model.revoked, late: model.late });
}

function fresh(author: string, nowMs: number): Omit<Model, 'revoked' | 'late'> {
  return {
    ...{ state: 'open', author, voted: new Map(), gave: new Set(), received: new Map(), escalated: false },
    endsAtMs: nowMs + lifeMs,
  };
}

const edit = (at: number): Step => ({
  check: () => true,
  toString: () => `edit(${who(at).id})`,
  run(model, real) {
    const editor = who(at);
    const { digest } = current(real);
    const request = aDecision({ approver: approverOf(real, editor), digest });
    const refusal = checkEdit(current(real), request, real.nowMs);
    expect(refusal === null).toBe(maySpeak(model, real, editor, false));
    if (refusal === null) reopen(model, real, editor.person);
    check(real);
  },
});

const give = (from: number, to: number): Step => ({
  check: () => true,
  toString: () => `handOver(${who(from).id}, ${who(to).id})`,
  run(model, real) {
    const [giver, receiver] = [who(from), who(to)];
    const request = { giver: approverOf(real, giver), receiver: approverOf(real, receiver) };
    const given = handOver(current(real), { ...request, reason: null, at: '' }, real.nowMs);
    const expected =
      maySpeak(model, real, giver, false) &&
      receiver.kind === 'human' &&
      ['admin', 'operator'].includes(receiver.role) &&
      !model.revoked.has(receiver.id) &&
      ![giver.person, model.author].includes(receiver.person) &&
      !model.voted.has(receiver.person);
    expect(!isRefusal(given)).toBe(expected);
    if (isRefusal(given)) return check(real);
    const stages = [0, 1].filter((stage) => stage >= stageNow(model) && namedFor(model, giver, stage));
    expect(given.stages).toEqual(stages);
    put(real, { ...current(real), handovers: [...current(real).handovers, given] });
    model.gave.add(giver.person);
    model.gave.delete(receiver.person);
    const held = model.received.get(receiver.id) ?? new Set();
    model.received.set(receiver.id, new Set([...held, ...stages]));
    check(real);
  },
});

/** What the record does by itself: each only to an open approval, an expiry only when its time has come. */
const event = (what: 'escalate' | 'expire' | 'cancel'): Step => ({
  check: () => true,
  toString: () => what,
  run(model, real) {
    const facts = current(real);
    if (facts.state === 'open') {
      if (what === 'cancel') put(real, { ...facts, state: 'withdrawn' });
      if (what === 'expire' && real.nowMs >= facts.expiresAtMs) put(real, { ...facts, state: 'expired' });
      if (what === 'escalate') put(real, { ...facts, escalatedAtMs: real.nowMs });
    }
    if (model.state === 'open') {
      if (what === 'cancel') model.state = 'withdrawn';
      if (what === 'expire' && real.nowMs >= model.endsAtMs) model.state = 'expired';
      if (what === 'escalate') model.escalated = true;
    }
    check(real);
  },
});

const wait = (ms: number): Step => ({
  check: () => true,
  toString: () => `wait(${ms})`,
  run(_model, real) {
    real.nowMs += ms;
  },
});

const revoke = (at: number): Step => ({
  check: () => true,
  toString: () => `revoke(${who(at).id})`,
  run(model, real) {
    real.revoked.add(who(at).id);
    model.revoked.add(who(at).id);
  },
});

/** The asker lets somebody into the group after asking: it must change nothing. */
const befriend = (at: number): Step => ({
  check: () => true,
  toString: () => `befriend(${who(at).id})`,
  run(_model, real) {
    real.late.add(who(at).id);
  },
});

/** The last check before a side effect: whoever carried the approval has to be there still (TRUST 4.12). */
const dispatch: Step = {
  check: () => true,
  toString: () => 'dispatch',
  run(model, real) {
    const facts = current(real);
    if (facts.state !== 'approved') return;
    const voters = new Map(cast.map((each) => [each.id, approverOf(real, each)]));
    const lapsed = whoLapsed(facts, voters);
    const gone = [...model.voted.values()].some(({ as }) => model.revoked.has(as));
    expect(lapsed !== null).toBe(gone);
    if (lapsed === null) real.ran.push(facts.id);
    else reopen(model, real, model.author);
    check(real);
  },
};

/** Longer runs take longer; a step of the model is far from a millisecond. */
const timeoutMs = Math.max(60_000, propertyRuns.numRuns * 5);

const settled = new WeakMap<ApprovalFacts, string>();

/** The promises, over every approval there has been. */
function check(real: Real): void {
  for (const facts of real.approvals) {
    const { state, votes } = facts;
    const yes = votes.filter(({ decision }) => decision === 'approve');
    const persons = new Set(votes.map(({ person }) => person));
    expect(persons.size).toBe(votes.length);
    expect(persons.has(facts.requestedByPerson)).toBe(false);
    for (const { principalId, at } of votes) {
      expect(cast.find(({ id }) => id === principalId)?.kind).toBe('human');
      expect(Number(at)).toBeLessThan(facts.expiresAtMs);
    }
    const glass = yes.filter(({ breakGlass }) => breakGlass === true).length;
    const staged = [0, 1].map(
      (stage) => yes.filter((v) => v.breakGlass !== true && v.stage === stage).length,
    );
    const enough = glass >= 2 || ((staged[0] ?? 0) >= 1 && (staged[1] ?? 0) >= 2);
    if (state === 'approved') expect([enough, yes.length]).toEqual([true, votes.length]);
    if (state === 'open' || state === 'expired') expect([enough, yes.length]).toEqual([false, votes.length]);
    if (state === 'rejected') expect(votes.at(-1)?.decision).toBe('reject');
    if (!['open', 'approved'].includes(state)) {
      // Final is final: the very object stays, with the very content.
      const text = JSON.stringify(facts);
      expect(settled.get(facts) ?? text).toBe(text);
      settled.set(facts, text);
    }
  }
  expect(real.approvals.slice(0, -1).every(({ state }) => state === 'void')).toBe(true);
  expect(new Set(real.approvals.map(({ digest }) => digest)).size).toBe(real.approvals.length);
  for (const id of real.ran)
    expect(real.approvals.find((facts) => facts.id === id)?.state).toMatch(/approved|void/);
}

const somebody = fc.nat(cast.length - 1);
const mostly = fc.oneof(
  { weight: 9, arbitrary: fc.constant(true) },
  { weight: 1, arbitrary: fc.constant(false) },
);
const rarely = mostly.map((value) => !value);
/** Those whose yes is asked for, saying it as they should: without enough of them hardly anything is ever approved. */
const willing = fc
  .constantFrom(4, 7, 1, 2, 3)
  .map((at) => vote(at, 'approve', { glass: false, fresh: true, reason: true }));
const steps = [
  ...[willing, willing, willing],
  fc
    .tuple(
      somebody,
      fc.oneof(
        { weight: 9, arbitrary: fc.constant('approve' as const) },
        { weight: 1, arbitrary: fc.constant('reject' as const) },
      ),
      fc.record({ glass: fc.boolean(), fresh: mostly, reason: mostly }),
    )
    .map(([at, decision, given]) => vote(at, decision, given)),
  fc
    .tuple(somebody, fc.record({ glass: rarely, fresh: mostly, reason: mostly }))
    .map(([at, given]) => vote(at, 'approve', given)),
  fc.tuple(somebody).map(([at]) => edit(at)),
  fc.tuple(somebody, somebody).map(([from, to]) => give(from, to)),
  fc.constantFrom(event('escalate'), event('escalate'), event('expire'), event('cancel')),
  fc.nat(30).map(wait),
  somebody.map(revoke),
  somebody.map(befriend),
  fc.constant(dispatch),
];

function start(): { model: Model; real: Real } {
  const first = anApproval({ rule, expiresAtMs: askedAtMs + lifeMs });
  const real: Real = {
    approvals: [{ ...first, requestedBy: 'bot', requestedByPerson: 'asker', askedByPerson: 'asker' }],
    nowMs: askedAtMs,
    revoked: new Set(),
    late: new Set(),
    ran: [],
  };
  return { model: { ...fresh('asker', askedAtMs), revoked: new Set(), late: new Set() }, real };
}

describe('the life of an approval', () => {
  test(
    'whatever people do in whatever order, it keeps its promises',
    () => {
      let approved = 0;
      fc.assert(
        fc.property(fc.commands(steps, { size: '+1', maxCommands: 40 }), (commands) => {
          const setup = start();
          fc.modelRun(() => setup, commands);
          if (setup.real.ran.length > 0 || current(setup.real).state === 'approved') approved += 1;
        }),
        propertyRuns,
      );
      // A model whose approvals never succeed would promise nothing.
      expect(approved).toBeGreaterThan(propertyRuns.numRuns / 10);
    },
    timeoutMs,
  );

  test('with the right people in time it is approved, in whatever order they come within a stage', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray([2, 3, 1], { minLength: 2 }),
        fc.constantFrom(4, 7),
        (admins, first) => {
          const { model, real } = start();
          const given = { glass: false, fresh: true, reason: true };
          vote(first, 'approve', given).run(model, real);
          for (const at of admins.filter((each) => who(each).person !== who(first).person).slice(0, 2))
            vote(at, 'approve', given).run(model, real);
          const different = admins.filter((each) => who(each).person !== who(first).person).length;
          expect(current(real).state).toBe(different >= 2 ? 'approved' : 'open');
        },
      ),
      propertyRuns,
    );
  });
});
