import { isSettled, type NewResult, readWindow, saveWindow, settledResults } from '../db/wormhole-results.ts';
import { countEvent, type EventWindow } from '../domain/event-window.ts';
import { fullCount } from '../domain/wormhole-effect.ts';
import { allDone, failed, type Item, type ItemsEnd, keyOf, type WormholeDeps } from './wormhole-item.ts';

type Group = { key: string; replay: string; items: Item[] };

const rounds = 10;

/** Counts events, key by key. A count and the results it was made of are one statement, so none is counted twice. */
export async function countItems(deps: WormholeDeps, items: Item[]): Promise<ItemsEnd> {
  const failures = [];
  for (const group of byKey(items)) {
    const counted = await countGroup(deps, group);
    if (!counted)
      failures.push(...failed(group.items, 'HANDLER_FAILED', 'Others count at the same time; try again.'));
  }
  return { ...allDone, failures };
}

async function countGroup({ database }: WormholeDeps, group: Group): Promise<boolean> {
  const { key, replay, items } = group;
  const [first] = items;
  if (first === undefined) return true;
  for (let round = 0; round < rounds; round += 1) {
    // Read first: what others count from here on changes its revision, and nothing is saved over it.
    const stored = await readWindow(database.db, { wormhole: first.row.id, key, replay });
    const settled = await settledResults(database.db, items.map(keyOf));
    const open = items.filter((item) => !isSettled(settled, keyOf(item)));
    if (open.length === 0) return true;
    const { state, results } = countAll(stored?.state ?? null, key, open);
    if (state === null) return true;
    const target = { wormhole: first.row.id, key, replay, seen: stored?.revision ?? 0, state, results };
    if (await saveWindow(database.log, target)) return true;
  }
  return false;
}

function countAll(
  before: EventWindow | null,
  key: string,
  items: Item[],
): { state: EventWindow | null; results: NewResult[] } {
  let state = before;
  const results = items.flatMap((item) => {
    const { row, delivery } = item;
    if (row.action.kind !== 'aggregate') return [];
    const { count, windowSeconds } = row.action;
    const step = countEvent(state, delivery.event, { version: row.version, count, windowSeconds });
    state = step.window;
    return [resultOf(item, step.window, key, step.isFull)];
  });
  return { state, results };
}

/** The event that makes the count full has the emitted event as its effect; the others only count. */
function resultOf(item: Item, window: EventWindow, key: string, isFull: boolean): NewResult {
  const { row, delivery } = item;
  const base = { ...keyOf(item), version: row.version };
  const detail = { action: 'aggregate', key, counted: window.count, windowStartedAt: window.startedAt };
  if (!isFull) return { ...base, outcome: 'folded', detail };
  const emit = fullCount(row, window, key, delivery.event);
  // Not tried again: the same window would make the same payload.
  if ('why' in emit) return { ...base, outcome: 'folded', detail: { ...detail, why: emit.why } };
  return { ...base, outcome: 'acted', detail: { ...detail, did: `emitted ${emit.type}` }, emit };
}

function byKey(items: Item[]): Group[] {
  const groups = new Map<string, Group>();
  for (const item of items) {
    const { plan } = item;
    if (plan.outcome !== 'acts' || plan.effect.kind !== 'count') continue;
    const { replay } = keyOf(item);
    const id = JSON.stringify([replay, plan.effect.key]);
    const group = groups.get(id) ?? { key: plan.effect.key, replay, items: [] };
    group.items.push(item);
    groups.set(id, group);
  }
  return [...groups.values()];
}
