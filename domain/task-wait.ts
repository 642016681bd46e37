import { refuse, type Refusal } from './refusal.ts';
import { isEnded, type TaskState } from './task.ts';

export const waitKinds = ['time', 'dependencies', 'person', 'place'] as const;
export type WaitKind = (typeof waitKinds)[number];
export type TaskWait = { on: WaitKind; because: string };

export type WaitFacts = {
  nowMs: number;
  notBeforeMs: number | null;
  dependencies: { id: string; state: TaskState }[];
  agentName: string;
  running: number;
  limit: number;
  /** Tasks that wait for a place of the same agent and come first by their score. */
  ahead: number;
  /** A person asks for it now; otherwise it would begin by itself. */
  byPerson: boolean;
};

const named = (tasks: WaitFacts['dependencies']): string =>
  tasks.map(({ id, state }) => `${id} (${state})`).join(', ');

/**
 * A task begins once its time has come, what it depends on has succeeded, and its agent has a place. Where a dependency
 * ended otherwise only a person's dispatch begins it; no person's word goes before the time, an open dependency or the
 * limit of the agent (LEDGER SQD-019, SQD-020).
 */
export function findWait(facts: WaitFacts): TaskWait | null {
  const { dependencies, notBeforeMs, nowMs, running, limit, byPerson } = facts;
  const unmet = dependencies.filter(({ state }) => state !== 'success');
  const broken = unmet.filter(({ state }) => isEnded(state));
  const open = unmet.filter(({ state }) => !isEnded(state));
  if (broken.length > 0 && !byPerson)
    return {
      on: 'person',
      because: `a person: it depends on ${named(broken)}, which did not succeed; dispatch it by hand to go on without, or cancel it`,
    };
  if (notBeforeMs !== null && notBeforeMs > nowMs)
    return { on: 'time', because: `its time: not before ${new Date(notBeforeMs).toISOString()}` };
  if (open.length > 0)
    return { on: 'dependencies', because: `what it depends on to succeed: ${named(open)}` };
  if (running >= limit)
    return {
      on: 'place',
      because: `a place at agent ${facts.agentName}, which runs ${running} of at most ${limit} tasks`,
    };
  if (!byPerson && running + facts.ahead >= limit)
    return {
      on: 'place',
      because: `a place at agent ${facts.agentName}: more urgent tasks wait for it too`,
    };
  return null;
}

/** What a person is told who dispatches a task that has to wait. */
export function refuseForWait(wait: TaskWait): Refusal {
  const code = wait.on === 'place' ? 'LIMIT' : 'CONFLICT';
  return refuse(code, `It waits for ${wait.because}.`, { waitsOn: wait.on });
}

const maxAheadMs = 366 * 86_400_000;

/** A task is due after it may begin, and neither is more than a year away nor a due date already over. */
export function checkSchedule(
  asked: { notBeforeMs: number | null; dueAtMs: number | null },
  nowMs: number,
): Refusal | null {
  const { notBeforeMs, dueAtMs } = asked;
  for (const [member, ms] of [
    ['notBefore', notBeforeMs],
    ['dueAt', dueAtMs],
  ] as const)
    if (ms !== null && ms > nowMs + maxAheadMs)
      return refuse('INVALID', `${member}: give a time within the next 366 days.`);
  if (dueAtMs !== null && dueAtMs <= nowMs)
    return refuse('INVALID', 'dueAt: this time is over; give one in the future.');
  if (dueAtMs !== null && notBeforeMs !== null && dueAtMs <= notBeforeMs)
    return refuse('INVALID', 'dueAt: a task is due after its notBefore; give a later dueAt.');
  return null;
}

/**
 * What a task depends on exists before it and can still succeed. As nothing that exists can name a task that comes
 * later, and dependencies never change, there is no way to a cycle.
 */
export function checkDependencies(
  id: string,
  dependsOn: string[],
  known: Map<string, TaskState>,
): Refusal | null {
  if (dependsOn.includes(id)) return refuse('INVALID', 'dependsOn: a task cannot depend on itself.');
  const missing = dependsOn.filter((each) => !known.has(each));
  if (missing.length > 0)
    return refuse('INVALID', `dependsOn: there is no task ${missing.join(', ')}.`, { missing });
  const lost = dependsOn.filter((each) => {
    const state = known.get(each);
    return state === 'rejected' || state === 'expired' || state === 'cancelled';
  });
  return lost.length === 0
    ? null
    : refuse('INVALID', `dependsOn: ${lost.join(', ')} has ended and can never succeed; leave it out.`, {
        lost,
      });
}
