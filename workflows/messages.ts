import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { ApprovalMessage, DecisionOutcome } from '../domain/approval.ts';
import type { CycleMode } from '../domain/halo.ts';
import type { HaloLoopState, HaloTrigger } from '../domain/halo-loop.ts';
import { messageNames } from '../domain/names.ts';
import type { RedriveProgress } from '../domain/redrive.ts';
import type { Refusal } from '../domain/refusal.ts';
import type { ReplayState } from '../domain/replay.ts';
import type { TaskState } from '../domain/task.ts';

/** A decision as anyone with a Temporal client can send it; it counts only with a decision ticket (DESIGN 5). */
export const approvalSignal = defineSignal<[ApprovalMessage]>(messageNames.approval);

/** The same decision, for a caller who needs the answer. */
export const decideUpdate = defineUpdate<DecisionOutcome, [ApprovalMessage]>(messageNames.decide);

/** Asks a run to act on a stored request of a permitted person; the request id is the proof. */
export type TaskRequest = { requestId: string };
export type TaskAnswer = { accepted: true; state: TaskState } | ({ accepted: false } & Refusal);

export const dispatchUpdate = defineUpdate<TaskAnswer, [TaskRequest]>(messageNames.dispatch);
export const cancelUpdate = defineUpdate<TaskAnswer, [TaskRequest]>(messageNames.cancel);

/** Tells a run to look whether a kill switch stands against what it does. It proves nothing: the run asks the record. */
export const holdSignal = defineSignal(messageNames.hold);
/** Tells a parked run that its turn after a release has come; the record knows whether it has. */
export const releaseSignal = defineSignal(messageNames.release);
/** Tells a task to look whether HALO superseded it. It proves nothing: the run asks the record. */
export const supersededSignal = defineSignal(messageNames.superseded);

export type TaskRunState = {
  taskId: string;
  state: TaskState;
  /** For a person in the Web UI or CLI: what this run waits for. */
  waitingFor: string;
  approvalId: string | null;
  attempt: number;
  /** Of a rejected task: what should be different. */
  guidance?: string;
};
export const taskStateQuery = defineQuery<TaskRunState>(messageNames.taskState);

export const haloTriggerSignal = defineSignal<[HaloTrigger]>(messageNames.haloTrigger);
/** Asks for a cycle and learns its id; triggers that wait share one cycle. */
export const haloRequestUpdate = defineUpdate<
  { cycleId: string; because: string },
  [{ mode: CycleMode; requestedBy: string }]
>(messageNames.haloRequest);
/** The request id is the proof; whom the sender names counts for nothing. */
export type HaloPauseRequest = { paused: boolean; principalId: string; requestId?: string };
export const haloPauseUpdate = defineUpdate<{ paused: boolean } | Refusal, [HaloPauseRequest]>(
  messageNames.haloPause,
);
export const haloStateQuery = defineQuery<HaloLoopState>(messageNames.haloState);

export type CycleRunState = {
  cycleId: string;
  step: string;
  weakPoints: number;
  proposals: number;
  /** When the findings that are too fresh for a proposal will have settled. */
  settledMs?: number;
};
export const cycleStateQuery = defineQuery<CycleRunState>(messageNames.cycleState);

/** Asks a subscription to act on a stored request of a permitted person; the request id is the proof. */
export type SubscriptionRequest = { requestId: string };
export const pauseSignal = defineSignal<[SubscriptionRequest]>(messageNames.pause);
export const resumeSignal = defineSignal<[SubscriptionRequest]>(messageNames.resume);
export const rewindSignal = defineSignal<[SubscriptionRequest]>(messageNames.rewind);

export type SubscriptionRunState = {
  key: string;
  state: 'running' | 'paused';
  /** Consumers at work now. */
  consumers: number;
  turns: number;
  delivered: number;
  failed: number;
  /** For a person in the Web UI or CLI: what this run waits for. */
  waitingFor: string;
};
export const subscriptionStateQuery = defineQuery<SubscriptionRunState>(messageNames.subscriptionState);
/** Tells a redrive to look whether it was cancelled. It proves nothing: the run asks the record. */
export const redriveCancelledSignal = defineSignal(messageNames.redriveCancelled);
/** Where a redrive stood when it looked last; null before its first look. */
export const redriveProgressQuery = defineQuery<RedriveProgress | null>(messageNames.redriveProgress);
export type ReplayRunState = {
  replayId: string;
  state: ReplayState;
  /** For a person in the Web UI or CLI: what this run waits for. */
  waitingFor: string;
};
export const replayStateQuery = defineQuery<ReplayRunState>(messageNames.replayState);
