import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { DispatchedTask, TaskActivities } from '../activities/tasks.ts';
import { isRefusal, refuse } from '../domain/refusal.ts';
import { isEnded, type TaskState } from '../domain/task.ts';
import { fail, openGate, type Waited } from './approval-gate.ts';
import { stateAttribute } from './describe-run.ts';
import { runEffect } from './effect.ts';
import type { TaskInput } from './inputs.ts';
import {
  cancelUpdate,
  dispatchUpdate,
  type TaskAnswer,
  type TaskRequest,
  type TaskRunState,
  taskStateQuery,
} from './messages.ts';
import { watchHold } from './task-hold.ts';
import { watchSupersede } from './task-supersede.ts';
import { takeTurns } from './turns.ts';

const taskActivities = proxyLocalActivities<TaskActivities>({
  startToCloseTimeout: '15s',
  retry: { initialInterval: '200ms', maximumInterval: '10s' },
});

type Asked = { request: TaskRequest; answer?: TaskAnswer };

/**
 * One run of a task, from its proposal (or from a retry) to its end: wait for people, dispatch, have the agent act,
 * record. The task's row is the record of where it stands; this run moves it and waits in between.
 */
export async function task(input: TaskInput): Promise<TaskRunState> {
  const { workflowId, runId } = workflowInfo();
  const { taskId } = input;
  const life: TaskRunState = {
    taskId,
    state: 'suggested',
    waitingFor: 'the record',
    approvalId: null,
    attempt: 0,
  };
  const dispatches: Asked[] = [];
  let cancelAsked: (Asked & { actor: string; reason: string | null }) | null = null;
  let effect: CancellationScope | null = null;
  let dispatchNow = false;
  let steps = 0;
  const opKey = (what: string): string => `task.${what}:${runId}:${(steps += 1)}`;
  const isCancelAsked = (): boolean => cancelAsked !== null;

  const inTurn = takeTurns();
  const record = inTurn(taskActivities);
  const gate = openGate(inTurn, () => (dispatchNow && life.state === 'pending-approval' ? taskId : null));
  const hold = watchHold(taskId, record, isCancelAsked);
  const isWithdrawn = watchSupersede(taskId, record);
  setHandler(taskStateQuery, () => life);
  setHandler(dispatchUpdate, async (request) => {
    const asked: Asked = { request };
    dispatches.push(asked);
    await condition(() => asked.answer !== undefined || isEnded(life.state));
    return asked.answer ?? ended();
  });
  setHandler(cancelUpdate, async (request) => {
    const proof = await record.acceptCancel({ taskId, workflowId, requestId: request.requestId });
    if (isRefusal(proof)) return { accepted: false, ...proof };
    cancelAsked ??= { request, ...proof };
    effect?.cancel();
    await condition(() => isEnded(life.state));
    return life.state === 'cancelled' ? { accepted: true, state: life.state } : ended();
  });

  const claimed = await record.claimRun({ taskId, run: input.run, runId });
  if (isRefusal(claimed)) throw fail(claimed);
  let approval: Waited = { ...claimed, id: claimed.approvalId };
  // Whoever asks for a retry asks for it to run; its approval still stands.
  dispatchNow = claimed.dispatchMode === 'auto' || input.run > 1;
  life.approvalId = approval.id;
  enter(claimed.state, 'a decision in the inbox', false);

  try {
    while (!isEnded(life.state)) {
      if (isWithdrawn()) enter('cancelled', 'nothing');
      else if (isCancelAsked()) await cancel();
      else if (life.state === 'pending-approval') await awaitDecision();
      else if (life.state === 'pending') await awaitDispatch();
      else throw fail(refuse('CONFLICT', `Task ${taskId} is ${life.state}; no run can go on from there.`));
    }
    await condition(allHandlersFinished);
    return life;
  } catch (error) {
    if (isCancellation(error)) await CancellationScope.nonCancellable(cancelledFromOutside);
    throw error;
  }

  function enter(state: TaskState, waitingFor: string, announce = true): void {
    life.state = state;
    life.waitingFor = isEnded(state) ? 'nothing: the task has ended' : waitingFor;
    setCurrentDetails(`**${state}**: waits for ${life.waitingFor}`);
    if (announce) upsertSearchAttributes([{ key: stateAttribute, value: state }]);
  }

  function ended(): TaskAnswer {
    return { accepted: false, ...refuse('CONFLICT', `The task is ${life.state}.`, { state: life.state }) };
  }

  async function awaitDecision(): Promise<void> {
    const isOver = (): boolean => isCancelAsked() || isWithdrawn();
    const { state, guidance } = await gate.wait(approval, isOver, (edited) => {
      approval = edited;
      life.approvalId = edited.id;
      enter('pending-approval', 'a decision on the edited content', false);
    });
    if (state === 'interrupted') return;
    if (guidance !== null) life.guidance = guidance;
    const next = {
      approved: 'pending',
      rejected: 'rejected',
      expired: 'expired',
      void: 'pending',
      withdrawn: 'cancelled',
    } as const;
    enter(next[state], 'a dispatch', state !== 'approved' || !dispatchNow);
  }

  async function awaitDispatch(): Promise<void> {
    if (!dispatchNow) {
      if (hold.parkedBecause === null) life.waitingFor = 'a dispatch';
      const isAsked = (): boolean => dispatches.some(({ answer }) => answer === undefined);
      await condition(() => isAsked() || isCancelAsked() || hold.isReleased());
      if (isCancelAsked()) return;
    }
    hold.takeRelease();
    const asked = dispatches.find(({ answer }) => answer === undefined);
    dispatchNow = false;
    const requestId = asked?.request.requestId ?? null;
    const outcome =
      gate.takeBegun() ??
      (await record.beginAttempt({ taskId, workflowId, requestId, opKey: opKey('begin') }));
    if (outcome.dispatched) {
      if (asked !== undefined) asked.answer = { accepted: true, state: 'running' };
      await attempt(outcome);
    } else if (outcome.voided) {
      const stale = refuse('STALE', `The approval is void: ${outcome.because}. Decide again.`, {
        approvalId: outcome.approvalId,
      });
      if (asked !== undefined) asked.answer = { accepted: false, ...stale };
      hold.parkedBecause = null;
      approval = { ...outcome, id: outcome.approvalId };
      life.approvalId = approval.id;
      enter('pending-approval', `a new decision: ${outcome.because}`);
    } else {
      const { refused, message, details } = outcome;
      if (asked !== undefined) asked.answer = { accepted: false, ...refuse(refused, message, details) };
      if (asked === undefined) hold.parkedBecause = outcome.parked === true ? message : null;
      const told = hold.parkedBecause === null ? `a dispatch: ${message}` : `a release: ${message}`;
      enter('pending', outcome.waits === true && asked === undefined ? message : told);
    }
  }

  async function attempt(dispatch: DispatchedTask): Promise<void> {
    life.attempt = dispatch.attempt;
    enter('running', `agent ${dispatch.agentName}`);
    effect = new CancellationScope();
    if (isCancelAsked()) effect.cancel();
    const end = await hold.guard(dispatch.attempt, effect, () => runEffect(dispatch));
    effect = null;
    if (end.kind === 'cancelled' && isCancelAsked()) return;
    if (end.kind === 'result') return finish(end.result);
    const because = end.kind === 'unknown' ? end.because : 'the agent was cancelled without a request';
    await settleUnknown(because);
  }

  async function settleUnknown(because: string): Promise<void> {
    const question = await record.askOutcome({
      taskId,
      attempt: life.attempt,
      because,
      opKey: opKey('unknown'),
    });
    if (isRefusal(question)) throw fail(question);
    life.approvalId = question.approvalId;
    enter('running', `a person's word on the outcome: ${because}`);
    const { state } = await gate.wait({ ...question, id: question.approvalId }, isCancelAsked);
    if (state === 'interrupted') return;
    const said =
      state === 'approved'
        ? 'a person confirmed that it took effect'
        : 'nobody confirmed that it took effect';
    await finish({ ok: state === 'approved', summary: `Outcome unknown (${because}); ${said}.` });
  }

  async function finish(result: { ok: boolean; summary: string }): Promise<void> {
    const { state } = await record.finishAttempt({
      taskId,
      attempt: life.attempt,
      result,
      opKey: opKey('finish'),
    });
    enter(state, 'nothing');
  }

  /** Somebody cancelled the run in Temporal itself; the record must not go on waiting for it. */
  async function cancelledFromOutside(): Promise<void> {
    const reason = 'the run was cancelled in Temporal';
    await record.cancelTask({ taskId, requestId: null, actor: 'temporal', reason, opKey: opKey('cancel') });
  }

  async function cancel(): Promise<void> {
    if (cancelAsked === null) return;
    const { request, actor, reason } = cancelAsked;
    const outcome = await record.cancelTask({
      taskId,
      requestId: request.requestId,
      actor,
      reason,
      opKey: opKey('cancel'),
    });
    // Whoever wanted it cancelled has it so, also where HALO was first.
    if (!isRefusal(outcome)) enter(outcome.state, 'nothing');
    else if (!isWithdrawn()) throw fail(outcome);
  }
}
