import { canonical, isDeeperThan, type JsonObject, storable, storableText } from './json.ts';
import { refuse, type Refusal } from './refusal.ts';

/*
 * A task's life (LEDGER 5.3):
 *
 * suggested -> pending-approval -> pending -> running -> success | failed
 *
 * A proposal waits in pending-approval until a person approves it (pending), rejects it (rejected) or nobody does
 * (expired). Only a pending task with an approval of exactly its content is dispatched (running). A failed task may be
 * retried: back to pending while the content is what was approved, else back to pending-approval. A pending task whose
 * content moved after the approval also goes back to pending-approval, because the approval is void (DESIGN 5).
 * Anything not yet ended can be cancelled. success, rejected, expired and cancelled are final.
 */
export const taskStates = [
  'suggested',
  'pending-approval',
  'pending',
  'running',
  'success',
  'failed',
  'rejected',
  'expired',
  'cancelled',
] as const;
export type TaskState = (typeof taskStates)[number];

const transitions: Record<TaskState, readonly TaskState[]> = {
  suggested: ['pending-approval', 'cancelled'],
  'pending-approval': ['pending', 'rejected', 'expired', 'cancelled'],
  pending: ['running', 'pending-approval', 'cancelled'],
  running: ['success', 'failed', 'cancelled'],
  failed: ['pending', 'pending-approval'],
  success: [],
  rejected: [],
  expired: [],
  cancelled: [],
};

/** A task moves only along the arrows above; every other move is refused. */
export function canMove(from: TaskState, to: TaskState): boolean {
  return transitions[from].includes(to);
}

/** States from which `to` can be reached: what a conditional UPDATE expects to find. */
export function statesBefore(to: TaskState): TaskState[] {
  return taskStates.filter((from) => canMove(from, to));
}

/** States in which a proposal still counts as open, so that the same finding folds into it. */
export const openTaskStates = ['suggested', 'pending-approval', 'pending', 'running'] as const;

/** A run that reached one of these has nothing left to wait for. */
export function isEnded(state: TaskState): boolean {
  return !(openTaskStates as readonly TaskState[]).includes(state);
}

export const executors = ['temporal', 'http', 'command'] as const;
export type Executor = (typeof executors)[number];

export const taskRoles = [
  'DreamOps',
  'DeployKeeper',
  'BuildKeeper',
  'EnvKeeper',
  'ConnectorBot',
  'DreamKeeper',
  'RelayBot',
  'NarrativeWeaver',
  'GraftBuilder',
  'Custom',
] as const;
export type TaskRole = (typeof taskRoles)[number];

export const risks = ['low', 'medium', 'high'] as const;
export type Risk = (typeof risks)[number];

export const taskPriorities = ['low', 'normal', 'high', 'urgent'] as const;
export type TaskPriority = (typeof taskPriorities)[number];

export const dispatchModes = ['manual', 'auto'] as const;
export type DispatchMode = (typeof dispatchModes)[number];

export const taskOrigins = ['api', 'halo', 'fabric', 'wormhole', 'agent'] as const;
export type TaskOrigin = (typeof taskOrigins)[number];

/** Automatic and asked-for runs of one task never exceed this many attempts. */
export const maxAttempts = 5;
export const defaultTimeoutMs = 60_000;
export const maxTimeoutMs = 3_600_000;

/** The executor that would run the task, as far as it is part of what a person approves. */
export type ExecutorBinding = { agentId: string; executor: Executor; configVersion: number } | null;

/** What an approver may change of a task that waits: not its type and target, which make it another task. */
export type EditedContent = { title?: string; payload?: JsonObject; timeoutMs?: number };

/** The content after an edit; one that changes nothing is refused, as it would only throw votes away. */
export function taskEdit(
  before: Required<EditedContent>,
  edit: EditedContent,
): Required<EditedContent> | Refusal {
  const { title = before.title, payload = before.payload, timeoutMs = before.timeoutMs } = edit;
  const isSame =
    title === before.title &&
    timeoutMs === before.timeoutMs &&
    canonical(payload) === canonical(before.payload);
  return isSame
    ? refuse('INVALID', 'This edit changes nothing; give another payload, title or timeoutMs.')
    : { title, payload, timeoutMs };
}

export type DispatchFacts = {
  state: TaskState;
  approvalState: string | null;
  approvedDigest: string | null;
  currentDigest: string;
  binding: ExecutorBinding;
  attempt: number;
  role: string;
};

/** Only a pending task runs, only with an approval of exactly this content, and only with an agent to run it. */
export function checkDispatch(facts: DispatchFacts): Refusal | null {
  if (facts.state !== 'pending')
    return refuse('CONFLICT', `The task is ${facts.state}; only a pending task can be dispatched.`, {
      state: facts.state,
    });
  if (facts.approvalState !== 'approved')
    return refuse('FORBIDDEN', 'No approval stands for this task; approve it in the inbox first.');
  if (facts.approvedDigest !== facts.currentDigest)
    return refuse('STALE', 'What would run is no longer what was approved; the approval is void.', {
      approved: facts.approvedDigest,
      current: facts.currentDigest,
    });
  if (facts.binding === null)
    return refuse(
      'CONFLICT',
      `No agent takes this task; register an agent with the role ${facts.role} and retry.`,
    );
  if (facts.attempt >= maxAttempts)
    return refuse('LIMIT', `The task has used its ${maxAttempts} attempts; create a new one.`);
  return null;
}

/** A failed task may run again while attempts are left; its approval stands only for unchanged content. */
export function checkRetry(facts: {
  state: TaskState;
  attempt: number;
  approvedDigest: string | null;
  currentDigest: string;
}): 'approval-stands' | 'approval-void' | Refusal {
  if (facts.state !== 'failed')
    return refuse('CONFLICT', `The task is ${facts.state}; only a failed task can be retried.`, {
      state: facts.state,
    });
  if (facts.attempt >= maxAttempts)
    return refuse('LIMIT', `The task has used its ${maxAttempts} attempts; create a new one.`);
  return facts.approvedDigest === facts.currentDigest ? 'approval-stands' : 'approval-void';
}

/** What an agent answers: done or not, one line for people, and data small enough for a workflow history. */
export type AgentResult = { ok: boolean; summary: string; output?: JsonObject };

const maxSummaryLength = 2000;
const maxOutputLength = 32 * 1024;
const maxOutputDepth = 64;

/**
 * An agent's answer is data from outside: anything but `{ok, summary}` is a failure, what is too long or too deep is
 * cut with a mark, and what the record cannot hold is replaced.
 */
export function readAgentResult(answer: unknown): AgentResult {
  const given = typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : {};
  if (typeof given.ok !== 'boolean' || typeof given.summary !== 'string')
    return { ok: false, summary: 'The agent did not answer {"ok": boolean, "summary": string}.' };
  const summary =
    given.summary.length > maxSummaryLength
      ? `${given.summary.slice(0, maxSummaryLength)} [cut]`
      : given.summary;
  const result = { ok: given.ok, summary: storableText(summary) };
  const { output } = given;
  if (typeof output !== 'object' || output === null || Array.isArray(output)) return result;
  if (isDeeperThan(output, maxOutputDepth))
    return { ...result, output: { cut: `output deeper than ${maxOutputDepth} levels was dropped` } };
  const size = JSON.stringify(output).length;
  if (size > maxOutputLength)
    return { ...result, output: { cut: `${size} characters of output were dropped` } };
  return { ...result, output: storable(output as JsonObject) as JsonObject };
}

/**
 * What every executor hands to an agent; `key` is the same for every repetition of one attempt. An agent never acts on a
 * lower `epoch` than the highest it has seen for the same target: a kill switch was engaged in between.
 */
export type AgentCall = {
  key: string;
  attempt: number;
  epoch?: number;
  timeoutMs: number;
  task: { id: string; type: string; target: string; payload: JsonObject };
};

/** How long an executor of this system may be silent before its attempt is looked at again, and how often it speaks. */
export const executorHeartbeatTimeoutMs = 6_000;
export const executorHeartbeatEveryMs = 1_000;
