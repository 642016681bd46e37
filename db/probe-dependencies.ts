import { and, asc, eq, inArray, or, sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import { change, type ChangeOutcome, databaseError } from './change.ts';
import type { Db } from './client.ts';
import { withinScopes } from './scopes.ts';
import { probes } from './schema/index.ts';

/** The probes that go by one of these ids or names, as far as the scopes let see them. */
export async function findProbes(
  db: Db,
  named: readonly string[],
  scopes: readonly string[] | null,
): Promise<{ id: string; name: string }[]> {
  if (named.length === 0) return [];
  return db
    .select({ id: probes.id, name: probes.name })
    .from(probes)
    .where(
      and(
        or(inArray(probes.id, [...named]), inArray(probes.name, [...named])),
        withinScopes(sql`('probe:' || ${probes.id})`, scopes),
      ),
    )
    .orderBy(asc(probes.id));
}

/** What each probe depends on, of those that depend on anything. */
export async function probeDependencies(db: Db): Promise<Map<string, string[]>> {
  const rows = await db
    .select({ id: probes.id, dependsOn: probes.dependsOn })
    .from(probes)
    .where(sql`${probes.dependsOn} <> '[]'::jsonb`);
  return new Map(rows.map(({ id, dependsOn }) => [id, dependsOn]));
}

/** Says what a probe's endpoint cannot do without; unchanged when it is the same or would close a circle. */
export async function setProbeDependencies(
  db: Db,
  input: { id: string; dependsOn: string[]; actor: string; opKey: string },
): Promise<ChangeOutcome<{ id: string }> | { status: 'circle' }> {
  const { id, dependsOn } = input;
  const wanted = sql`${JSON.stringify(dependsOn)}::text::jsonb`;
  try {
    return await change<{ id: string }>(db, {
      opKey: input.opKey,
      write: db
        .update(probes)
        // Not updated_at: by that a result from before a repair is told from one after it.
        .set({ dependsOn: wanted })
        .where(and(eq(probes.id, id), sql`${probes.dependsOn} <> ${wanted}`))
        .returning()
        .getSQL(),
      events: [
        { type: eventTypes.probeChanged, source: { type: 'api', id }, payload: { probeId: id, dependsOn } },
      ],
      audit: {
        actor: input.actor,
        action: 'probe.edit',
        subjectKind: 'probe',
        subjectId: id,
        detail: { dependsOn },
      },
      result: sql`jsonb_build_object('id', changed.id)`,
    });
  } catch (error) {
    if (databaseError(error)?.constraint_name === 'probes_depend_in_no_circle') return { status: 'circle' };
    throw error;
  }
}
