import type { Database } from '../db/client.ts';
import { knownLinks, linksAmong } from '../db/entity-links.ts';
import { openInsights, recordResonance } from '../db/insights.ts';
import { failureWindow, rememberedEntities } from '../db/resonance-facts.ts';
import { failsTogether, holdingLinks, resembling } from '../domain/entity-link.ts';
import type { Lessons } from '../domain/insight.ts';
import { insightsOf } from '../domain/resonance.ts';

/** A history keeps what a cycle is told, so it is told the strongest links only. */
const mostLinksTold = 200;

/** Learns from traits and from the log, and leaves it on record. */
export async function learnResonance({ db, log }: Database, cycleId: string): Promise<void> {
  const [remembered, { failures, buckets }, isKnown] = await Promise.all([
    rememberedEntities(log),
    failureWindow(log),
    knownLinks(db),
  ]);
  const links = holdingLinks([...failsTogether(failures, buckets), ...resembling(remembered)], isKnown);
  await recordResonance(db, { cycleId, found: insightsOf(remembered, links), links });
}

/** The insights that hold, and the links among the entities that a cycle has found something about. */
export async function resonanceLessons(
  { db }: Database,
  entities: string[],
): Promise<Pick<Lessons, 'insights' | 'links'>> {
  const [insights, links] = await Promise.all([openInsights(db), linksAmong(db, entities, mostLinksTold)]);
  return { insights, links };
}
