import { isSettled, recordResults, settledResults } from '../db/wormhole-results.ts';
import { enabledWormholes, type WormholeRow } from '../db/wormholes.ts';
import type {
  Delivery,
  DeliveryContext,
  DeliveryFailure,
  EventHandler,
  Preview,
} from '../domain/delivery.ts';
import { isRefusal } from '../domain/refusal.ts';
import { compileRule, type Rule } from '../domain/wormhole.ts';
import { describePlan, planEvent } from '../domain/wormhole-effect.ts';
import { isUnavailable, type Unavailable } from './event-handlers.ts';
import { runItems } from './wormhole-effects.ts';
import { failed, type Item, keyOf, type WormholeDeps } from './wormhole-item.ts';

/** A rule and what its row holds beside it. */
type Loaded = { rule: Rule; row: WormholeRow };

/** Hands every event to every enabled wormhole; one that fails is reported as a part of its own and harms no other. */
export function createWormholesHandler(deps: WormholeDeps): EventHandler {
  const { db, log } = deps.database;
  let compiled = new Map<string, Rule>();

  /** Read anew each time, so that a switched-off wormhole is off at once; compiled once for each version. */
  async function loadRules(): Promise<{ loaded: Loaded[]; broken: { row: WormholeRow; why: string }[] }> {
    const rows = await enabledWormholes(db);
    const known = new Map<string, Rule>();
    const broken: { row: WormholeRow; why: string }[] = [];
    const loaded = rows.flatMap((row) => {
      const key = `${row.id}:${row.version}`;
      const rule = compiled.get(key) ?? compileRule(row);
      if (isRefusal(rule)) {
        broken.push({ row, why: rule.message });
        return [];
      }
      known.set(key, rule);
      return [{ rule, row }];
    });
    compiled = known;
    return { loaded, broken };
  }

  function planAll(deliveries: Delivery[], loaded: Loaded[]): Item[] {
    return deliveries.flatMap((delivery) =>
      loaded
        .filter(({ row }) => delivery.part === '' || delivery.part === row.id)
        .flatMap(({ rule, row }) => {
          const plan = planEvent(rule, delivery.event);
          return plan.outcome === 'unmatched' ? [] : [{ delivery, row, plan }];
        }),
    );
  }

  async function deliver(deliveries: Delivery[], context: DeliveryContext) {
    const { loaded, broken } = await loadRules();
    for (const { row, why } of broken) deps.log.warn(`Wormhole ${row.name} cannot be used`, { why });
    const planned = planAll(deliveries, loaded);
    const settled = await settledResults(db, planned.map(keyOf));
    const open = planned.filter((item) => !isSettled(settled, keyOf(item)));
    const failures: DeliveryFailure[] = [];
    const later: { eventId: string; part: string }[] = [];
    let unavailable: Unavailable | null = null;

    for (const items of byWormhole(open)) {
      try {
        const end = await runItems(deps, items, context);
        failures.push(...end.failures);
        later.push(...end.later);
        unavailable ??= end.unavailable;
      } catch (error) {
        // What a turn that ends broke off was not tried, and is not done either.
        if (isUnavailable(error) || context.signal.aborted) throw error;
        failures.push(
          ...failed(items, 'HANDLER_FAILED', error instanceof Error ? error.message : String(error)),
        );
      }
    }
    await noteFailures(open, failures);
    // What was done is settled by its result, so handing all of them over again does only what is left.
    if (unavailable !== null) throw unavailable;
    return { failures, later };
  }

  async function noteFailures(items: Item[], failures: DeliveryFailure[]): Promise<void> {
    const failed = new Map(failures.map((failure) => [`${failure.part}|${failure.eventId}`, failure]));
    const results = items.flatMap((item) => {
      const failure = failed.get(`${item.row.id}|${item.delivery.event.id}`);
      if (failure === undefined) return [];
      const { cause, error } = failure;
      const detail = { action: item.row.action.kind, cause, error };
      return [{ ...keyOf(item), version: item.row.version, outcome: 'failed' as const, detail }];
    });
    await recordResults(log, results);
  }

  async function preview(deliveries: Delivery[]): Promise<Preview[]> {
    const { loaded } = await loadRules();
    return planAll(deliveries, loaded).map(previewOf);
  }

  return { deliver, preview };
}

function previewOf({ delivery, row, plan }: Item): Preview {
  const { name, version, action } = row;
  const would = plan.outcome === 'acts' ? plan.would : plan.outcome === 'folded' ? 'do nothing' : 'fail';
  const detail = { wormhole: name, version, action: action.kind, ...describePlan(plan) };
  return { eventId: delivery.event.id, part: row.id, would, detail };
}

function byWormhole(items: Item[]): Item[][] {
  const groups = new Map<string, Item[]>();
  for (const item of items) groups.set(item.row.id, [...(groups.get(item.row.id) ?? []), item]);
  return [...groups.values()];
}
