import { sql } from 'drizzle-orm';
import type { AnalyzerName } from '../domain/analyzers/issue.ts';
import type { Analysis } from '../domain/halo.ts';
import type { Db } from './client.ts';

/** The history that is looked through (LEDGER 1.2). */
const newestCycles = 200;

export type LastLook = Analysis & { cycleId: string; at: Date };

/** The newest look of each analyzer; light cycles run some of them only. */
export async function lastLooks(db: Db): Promise<Map<AnalyzerName, LastLook>> {
  const rows = await db.execute<{ cycle_id: string; at_ms: number; analysis: Analysis }>(sql`
    select distinct on (a.analysis ->> 'analyzer') c.id as cycle_id, a.analysis,
           (extract(epoch from c.started_at) * 1000)::float8 as at_ms
    from (select id, started_at, analyses from halo_cycles order by started_at desc, id desc limit ${newestCycles}::int) c
    cross join lateral jsonb_array_elements(c.analyses) as a(analysis)
    order by a.analysis ->> 'analyzer', c.started_at desc, c.id desc`);
  return new Map(
    rows.map(({ cycle_id: cycleId, at_ms: atMs, analysis }) => [
      analysis.analyzer,
      { ...analysis, cycleId, at: new Date(atMs) },
    ]),
  );
}
