import { listCandidates } from '../db/agents.ts';
import { actorOf, getPrincipal } from '../db/principals.ts';
import { getTask } from '../db/tasks.ts';
import { proposeFor } from '../db/wormhole-task.ts';
import { isPermitted, type Principal } from '../domain/access.ts';
import { chooseAgent } from '../domain/agent.ts';
import { isRefusal, refuse, type Refusal } from '../domain/refusal.ts';
import type { TaskDraft } from '../domain/wormhole-effect.ts';
import { Unavailable } from './event-handlers.ts';
import {
  allDone,
  failed,
  type Item,
  type ItemsEnd,
  keyOf,
  putOff,
  type WormholeDeps,
} from './wormhole-item.ts';

type Group = { draft: TaskDraft; replay: string; items: Item[] };

const askAgainMs = 5_000;

/** Proposes tasks on behalf of who wrote the wormhole: events of one fingerprint become one proposal. */
export async function proposeItems(deps: WormholeDeps, items: Item[]): Promise<ItemsEnd> {
  const [first] = items;
  if (first === undefined) return allDone;
  const owner = await ownerOf(deps, first.row.owner);
  if (isRefusal(owner)) return { ...allDone, failures: failed(items, owner.refused, owner.message) };
  const candidates = await listCandidates(deps.database.db);
  const end: ItemsEnd = { failures: [], later: [], unavailable: null };
  for (const group of byFingerprint(items)) {
    const agent = chooseAgent(candidates, group.draft);
    const binding = agent && {
      agentId: agent.id,
      executor: agent.executor,
      configVersion: agent.configVersion,
    };
    join(end, await proposeGroup(deps, group, owner, binding));
  }
  return end;
}

function join(end: ItemsEnd, more: ItemsEnd): void {
  end.failures.push(...more.failures);
  end.later.push(...more.later);
  end.unavailable ??= more.unavailable;
}

async function proposeGroup(
  deps: WormholeDeps,
  { draft, replay, items }: Group,
  owner: Principal,
  binding: Parameters<typeof proposeFor>[1]['binding'],
): Promise<ItemsEnd> {
  const [first] = items;
  if (first === undefined) return allDone;
  if (!isPermitted(owner, 'tasks:write', draft.target)) {
    const error = `${owner.name}, who wrote this wormhole, may not propose tasks for ${draft.target}.`;
    return { ...allDone, failures: failed(items, 'FORBIDDEN', error, true) };
  }
  const outcome = await proposeFor(deps.database.db, {
    wormhole: first.row,
    ...{ owner, draft, replay, binding },
    eventIds: items.map(({ delivery }) => delivery.event.id),
  });
  if (outcome.status === 'held') return hold(items, outcome.refusal);
  if (outcome.status === 'refused')
    return { ...allDone, failures: failed(items, outcome.refusal.refused, outcome.refusal.message, true) };
  if (outcome.status === 'proposed') await startRun(deps, outcome.taskId);
  return allDone;
}

/** A kill switch holds proposals back: they wait as deliveries of their own, with no attempt counted. */
function hold(items: Item[], refusal: Refusal): ItemsEnd {
  const isFirst = (item: Item): boolean => item.delivery.part === '';
  const waiting = items.filter((item) => !isFirst(item));
  return {
    failures: [],
    later: putOff(items.filter(isFirst)),
    unavailable: waiting.length === 0 ? null : new Unavailable(refusal.message, { retryInMs: askAgainMs }),
  };
}

async function startRun(deps: WormholeDeps, taskId: string): Promise<void> {
  try {
    const task = await getTask(deps.database.db, taskId);
    if (task !== null) await deps.runs.startTask(task);
  } catch (error) {
    // The task is stored: the relay starts its run.
    deps.log.warn('The relay will start the task', {
      taskId,
      error: error instanceof Error ? error.message : String(error),
    });
  }
}

async function ownerOf(deps: WormholeDeps, id: string | null): Promise<Principal | Refusal> {
  const row = id === null ? null : await getPrincipal(deps.database.db, id);
  if (row !== null && row.status === 'active') return actorOf(row);
  const who = row === null ? 'nobody' : `${row.name}, who is disabled`;
  return refuse('FORBIDDEN', `This wormhole belongs to ${who}; an admin has to change it to own it.`);
}

function byFingerprint(items: Item[]): Group[] {
  const groups = new Map<string, Group>();
  for (const item of items) {
    const { plan } = item;
    if (plan.outcome !== 'acts' || plan.effect.kind !== 'task') continue;
    const { replay } = keyOf(item);
    const draft = plan.effect.task;
    const key = `${replay}|${draft.fingerprint}`;
    const group = groups.get(key) ?? { draft, replay, items: [] };
    group.items.push(item);
    groups.set(key, group);
  }
  return [...groups.values()];
}
