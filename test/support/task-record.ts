import { ApplicationFailure } from '@temporalio/common';
import type { DecisionActivities } from '../../activities/decisions.ts';
import type { DispatchedTask, TaskActivities } from '../../activities/tasks.ts';
import type { ApprovalState } from '../../domain/approval.ts';
import type { DispatchOutcome } from '../../db/dispatch.ts';
import { refuse, type Refusal } from '../../domain/refusal.ts';
import type { AgentCall, TaskState } from '../../domain/task.ts';

export type Call = { activity: string; input: unknown };

type Script = {
  dispatchMode?: 'auto' | 'manual';
  expiresInMs?: number;
  state?: TaskState;
  /** What the agent does; by default it succeeds. */
  agent?: (call: AgentCall) => unknown;
  executor?: DispatchedTask['executor'];
  /** The first dispatch finds the content moved. */
  voidedOnce?: boolean;
  /** How much time the database says is left when the first timer fires. */
  clockBehindMs?: number;
  /** What is due while it waits; nothing by default, as in runs from before there were reminders. */
  remindEveryMs?: number;
  escalateAfterMs?: number;
  /** So many times the beginning of an attempt is held by a kill switch. */
  parked?: number;
  /** What the beginning of an attempt waits for, once each: its time, what it depends on, a place. */
  waits?: string[];
  /** So many dispatches by hand are refused by it. */
  heldByHand?: number;
  /** What the record says to a `hold` signal; by default no switch stands against the attempt. */
  stop?: () => string | null;
  /** What the record does at a `superseded` signal; by default HALO has superseded nothing. */
  withdraws?: () => boolean;
  /** The first reminder finds that the approval was settled without the run. */
  settledBehindIt?: ApprovalState;
};

const settledStates = { approve: 'approved', reject: 'rejected', edit: 'void' } as const;

/** A record in memory that obeys the same verbs as the database, and remembers every call it got. */
export function fakeRecord(taskQueue: string, script: Script = {}) {
  const calls: Call[] = [];
  const approvals = new Map<string, ApprovalState>([['apr_1', 'open']]);
  let voided = script.voidedOnce !== true;
  let clockBehindMs = script.clockBehindMs ?? 0;
  let attempt = 0;
  const { remindEveryMs, escalateAfterMs } = script;
  const waiting = {
    ...(remindEveryMs === undefined ? {} : { remindEveryMs }),
    ...(escalateAfterMs === undefined ? {} : { escalateAfterMs }),
  };
  let parked = script.parked ?? 0;
  let heldByHand = script.heldByHand ?? 0;
  const note = (activity: string, input: unknown): void => void calls.push({ activity, input });

  const waits = [...(script.waits ?? [])];

  function begin(taskId: string): DispatchOutcome {
    const because = waits.shift();
    if (because !== undefined)
      return { dispatched: false, voided: false, parked: true, waits: true, ...refuse('CONFLICT', because) };
    if (parked > 0) {
      parked -= 1;
      return { dispatched: false, voided: false, parked: true, ...refuse('CONFLICT', 'held by all') };
    }
    if (!voided) {
      voided = true;
      approvals.set('apr_2', 'open');
      return {
        dispatched: false,
        voided: true,
        approvalId: 'apr_2',
        expiresInMs: 3_600_000,
        because: 'the configuration moved',
      };
    }
    attempt += 1;
    return {
      dispatched: true,
      key: `${taskId}:${attempt}`,
      attempt,
      epoch: 7,
      agentId: 'agt_1',
      agentName: 'keeper',
      executor: script.executor ?? 'temporal',
      taskQueue,
      pickupTimeoutMs: 60_000,
      heartbeatTimeoutMs: null,
      timeoutMs: 30_000,
      task: { id: taskId, type: 'repair.api.endpoint', target: 'probe:p', payload: { url: 'http://shop/' } },
    };
  }

  const task: TaskActivities = {
    claimRun(input) {
      note('claimRun', input);
      const { state = 'pending-approval', expiresInMs = 3_600_000, dispatchMode = 'manual' } = script;
      return Promise.resolve({
        state,
        approvalId: 'apr_1',
        expiresInMs,
        dispatchMode,
        title: 'Repair the shop',
        ...waiting,
      });
    },
    beginAttempt(input) {
      note('beginAttempt', input);
      if (input.requestId !== null && heldByHand > 0) {
        heldByHand -= 1;
        return Promise.resolve({ dispatched: false, voided: false, ...refuse('CONFLICT', 'held by all') });
      }
      return Promise.resolve(begin(input.taskId));
    },
    findStop(input) {
      note('findStop', input);
      const because = script.stop?.() ?? null;
      return Promise.resolve(because === null ? null : { attempt, because });
    },
    withdrawSuperseded(input) {
      note('withdrawSuperseded', input);
      // A local activity may run again before its answer is in the history: it says the same then, as its key is one.
      if (approvals.get('apr_1') === 'open' && script.withdraws?.() === true)
        approvals.set('apr_1', 'withdrawn');
      if (approvals.get('apr_1') !== 'withdrawn') return Promise.resolve(null);
      return Promise.resolve({
        state: 'cancelled' as const,
        because: 'superseded by cyc_2: it is well again',
      });
    },
    finishAttempt(input) {
      note('finishAttempt', input);
      return Promise.resolve({ state: input.result.ok ? ('success' as const) : ('failed' as const) });
    },
    askOutcome(input) {
      note('askOutcome', input);
      approvals.set('apr_outcome', 'open');
      return Promise.resolve({ approvalId: 'apr_outcome', expiresInMs: 3_600_000 });
    },
    acceptCancel(input) {
      note('acceptCancel', input);
      if (input.requestId === 'forged') return Promise.resolve(refuse('FORBIDDEN', 'no such request'));
      return Promise.resolve({ actor: 'prn_operator', reason: 'not wanted' });
    },
    cancelTask(input) {
      note('cancelTask', input);
      if (approvals.get('apr_1') === 'withdrawn')
        return Promise.resolve(refuse('CONFLICT', 'The task is already cancelled.'));
      return Promise.resolve({ state: 'cancelled' as const });
    },
  };

  const decisions: DecisionActivities = {
    recordDecision(input) {
      note('recordDecision', input);
      const { approvalId = '', decision, requestId } = input.message;
      const no = (refusal: Refusal) =>
        Promise.resolve({ outcome: { accepted: false as const, ...refusal }, begun: null });
      if (requestId === undefined) return no(refuse('FORBIDDEN', 'a signal needs a ticket'));
      if (approvals.get(approvalId) !== 'open') return no(refuse('CONFLICT', 'already decided'));
      const state = settledStates[decision ?? 'reject'];
      approvals.set(approvalId, state);
      if (decision === 'edit') approvals.set('apr_edited', 'open');
      const { guidance } = input.message;
      const outcome = {
        accepted: true as const,
        approvalId,
        state,
        votesLeft: 0,
        decidedAt: '2026-01-01T00:00:00.000Z',
        ...(guidance === undefined ? {} : { guidance }),
        ...(decision === 'edit'
          ? { replacement: { approvalId: 'apr_edited', expiresInMs: 3_600_000, ...waiting } }
          : {}),
      };
      const begins = state === 'approved' && input.beginTaskId !== null;
      return Promise.resolve({ outcome, begun: begins ? begin(input.beginTaskId ?? '') : null });
    },
    expireApproval(input) {
      note('expireApproval', input);
      const state = approvals.get(input.approvalId) ?? 'withdrawn';
      if (state !== 'open')
        return Promise.resolve({ expired: false as const, state, remainingMs: 0 as const });
      if (clockBehindMs > 0) {
        const remainingMs = clockBehindMs;
        clockBehindMs = 0;
        return Promise.resolve({ expired: false as const, state: 'open' as const, remainingMs });
      }
      approvals.set(input.approvalId, 'expired');
      return Promise.resolve({ expired: true as const });
    },
    nudgeApproval(input) {
      note('nudgeApproval', input);
      if (script.settledBehindIt !== undefined) approvals.set(input.approvalId, script.settledBehindIt);
      return Promise.resolve({ state: approvals.get(input.approvalId) ?? 'withdrawn' });
    },
  };

  const agent = {
    runAgent(call: AgentCall): unknown {
      note('runAgent', call);
      return script.agent === undefined ? { ok: true, summary: 'repaired' } : script.agent(call);
    },
  };

  return { activities: { ...task, ...decisions, ...agent }, calls, approvals };
}

/** What an executor throws when it cannot find out whether its effect happened. */
export function outcomeUnknown(): ApplicationFailure {
  return ApplicationFailure.nonRetryable('the command left no result', 'OUTCOME_UNKNOWN');
}
