import { z } from '@hono/zod-openapi';
import { selectedPages } from '../db/replay-log.ts';
import type { LoggedEvent } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { isRefusal, refuse, type Refusal } from '../domain/refusal.ts';
import type { ReplaySelection } from '../domain/replay.ts';
import { diffOutcomes, type Outcome } from '../domain/shadow.ts';
import type { ApiDeps } from './context.ts';
import { throwRefusal } from './problems.ts';
import { instant } from './schemas.ts';
import { cutDiff, diffSchema, mostShadowEvents } from './shadow-views.ts';

/** A rule over the events of a window: what it does with each page, and what is left when the window is over. */
export type Simulation = { take(events: LoggedEvent[]): Outcome[]; end(): Outcome[] };

/** What wormholes give to a shadow run. `end` is for windows of an aggregation that are still open then. */
export type WormholeShadow<Rule = unknown> = {
  /** The stored version of a wormhole; null where there is none. */
  stored(id: string): Promise<Rule | null>;
  read(draft: JsonObject): Rule | Refusal;
  simulateWormhole(rules: Rule[]): Simulation;
  notReplayable: readonly string[];
};

export const wormholeShadowSchema = z.object({
  kind: z.literal('wormhole'),
  window: z.object({ from: instant, to: instant }),
  events: z.number(),
  complete: z.boolean(),
  outcomes: diffSchema(z.object({})),
  notReplayable: z.array(z.string()),
});

const mostOutcomes = 200_000;

/** Runs a draft over a window of the log beside the stored version, or beside nothing. Nothing is written or sent. */
export async function shadowWormhole<Rule>(
  deps: ApiDeps,
  wormholes: WormholeShadow<Rule>,
  asked: {
    window: { from: string; to: string };
    untilTx: string;
    selection: ReplaySelection;
    wormholeId: string | null;
    draft: JsonObject | null;
  },
): Promise<z.infer<typeof wormholeShadowSchema>> {
  const { window, untilTx, wormholeId, draft } = asked;
  const stored = wormholeId === null ? null : await wormholes.stored(wormholeId);
  if (wormholeId !== null && stored === null)
    throwRefusal(refuse('NOT_FOUND', `There is no wormhole ${wormholeId}.`));
  const changed = draft === null ? null : wormholes.read(draft);
  if (isRefusal(changed)) throwRefusal(changed);
  const before = wormholes.simulateWormhole(stored === null ? [] : [stored]);
  const after = wormholes.simulateWormhole(changed === null ? [] : [changed]);
  const outcomes = { before: [] as Outcome[], after: [] as Outcome[] };
  let events = 0;
  let isWhole = true;
  for await (const page of selectedPages(
    deps.database.log,
    { selection: { ...asked.selection, ...window }, untilTx },
    mostShadowEvents + 1,
  )) {
    const kept = page.slice(0, Math.max(0, mostShadowEvents - events));
    events += page.length;
    outcomes.before.push(...before.take(kept));
    outcomes.after.push(...after.take(kept));
    isWhole = events <= mostShadowEvents && outcomes.before.length + outcomes.after.length <= mostOutcomes;
    if (!isWhole) break;
  }
  if (isWhole) {
    outcomes.before.push(...before.end());
    outcomes.after.push(...after.end());
  }
  const notes = isWhole ? [] : [`What comes behind the first ${mostShadowEvents} events of the window.`];
  return {
    kind: 'wormhole',
    window: { from: new Date(window.from).toISOString(), to: new Date(window.to).toISOString() },
    events: Math.min(events, mostShadowEvents),
    complete: isWhole,
    outcomes: cutDiff(diffOutcomes(outcomes.before, outcomes.after)),
    notReplayable: [...wormholes.notReplayable, ...notes],
  };
}
