import { z } from '@hono/zod-openapi';
import { selectedPages } from '../db/replay-log.ts';
import type { ReplaySelection } from '../domain/replay.ts';
import { diffOutcomes, type Outcome } from '../domain/shadow.ts';
import { simulateWormhole, wormholeShadowLimits } from '../domain/wormhole-shadow.ts';
import type { ApiDeps } from './context.ts';
import { instant } from './schemas.ts';
import { cutDiff, diffSchema, mostShadowEvents } from './shadow-views.ts';
import { tryWormhole, type WormholeDraft } from './wormhole-subject.ts';

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
export async function shadowWormhole(
  deps: ApiDeps,
  asked: {
    window: { from: string; to: string };
    untilTx: string;
    selection: ReplaySelection;
    wormholeId?: string | undefined;
    draft?: WormholeDraft | undefined;
  },
): Promise<z.infer<typeof wormholeShadowSchema>> {
  const { window, untilTx, wormholeId: id, draft } = asked;
  const stored = id === undefined ? null : (await tryWormhole(deps, { id })).rule;
  const changed = draft === undefined ? null : (await tryWormhole(deps, { id, draft })).rule;
  const before = simulateWormhole(stored);
  const after = simulateWormhole(changed);
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
    outcomes.before.push(...before(kept));
    outcomes.after.push(...after(kept));
    isWhole = events <= mostShadowEvents && outcomes.before.length + outcomes.after.length <= mostOutcomes;
    if (!isWhole) break;
  }
  const notes = isWhole ? [] : [`What comes behind the first ${mostShadowEvents} events of the window.`];
  return {
    kind: 'wormhole',
    window: { from: new Date(window.from).toISOString(), to: new Date(window.to).toISOString() },
    events: Math.min(events, mostShadowEvents),
    complete: isWhole,
    outcomes: cutDiff(diffOutcomes(outcomes.before, outcomes.after)),
    notReplayable: [...wormholeShadowLimits, ...notes],
  };
}
