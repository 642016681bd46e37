import { sql, type SQL } from 'drizzle-orm';
import type { Db } from './client.ts';

/** How often an action ended in which way, and when it last really ran. */
export type Results = {
  succeeded: number;
  failed: number;
  unknown: number;
  rejected: number;
  lastRunAt: string | null;
};
/** Of repairs that later cycles judged: how many helped and did not, on this target and anywhere. */
export type Verdicts = { helped: number; didNotHelp: number };
export type PastResults = {
  here: Results;
  anywhere: Results;
  verdicts: { here: Verdicts; anywhere: Verdicts };
};
export type Action = { type: string; target: string };

const never: Results = { succeeded: 0, failed: 0, unknown: 0, rejected: 0, lastRunAt: null };

const unjudged = { here: { helped: 0, didNotHelp: 0 }, anywhere: { helped: 0, didNotHelp: 0 } };
const nothing: PastResults = { here: never, anywhere: never, verdicts: unjudged };

/** Looks up the past of one action. */
export type LookUp = (action: Action) => PastResults;

/**
 * What became of the same actions before: on the same target, and of the same type anywhere. One statement for a whole
 * page, which reads each task of these types once however many rows ask about it.
 */
export async function pastResults(db: Db, actions: Action[]): Promise<LookUp> {
  if (actions.length === 0) return () => nothing;
  const pairs = JSON.stringify(actions.map(({ type, target }) => ({ type, target })));
  const rows = await db.execute(sql`
    with wanted as (
      select distinct w.type, w.target from jsonb_to_recordset(${pairs}::text::jsonb) as w(type text, target text)
    ),
    here as (
      select t.type, t.target,
             count(*) filter (where t.state = 'success') as succeeded,
             count(*) filter (where t.state = 'failed') as failed,
             count(*) filter (where t.outcome_unknown) as unknown,
             count(*) filter (where t.state = 'rejected') as rejected,
             max(t.ended_at) filter (where t.state in ('success', 'failed')) as last_run
      from tasks t
      where t.type in (select type from wanted)
        and (t.state in ('success', 'failed', 'rejected') or t.outcome_unknown)
      group by t.type, t.target
    ),
    anywhere as (
      select type, sum(succeeded) as succeeded, sum(failed) as failed, sum(unknown) as unknown,
             sum(rejected) as rejected, max(last_run) as last_run
      from here group by type
    )
    select w.type, w.target, ${resultsOf('h')} as here, ${resultsOf('a')} as anywhere, jsonb_build_object(
             'here', ${verdictsOf(sql`r.target = w.target`)}, 'anywhere', ${verdictsOf(sql`true`)}) as verdicts
    from wanted w left join here h using (type, target) left join anywhere a using (type)`);
  const known = new Map(
    rows.map((row) => [
      keyOf({ type: String(row.type), target: String(row.target) }),
      {
        here: row.here as Results,
        anywhere: row.anywhere as Results,
        verdicts: row.verdicts as PastResults['verdicts'],
      },
    ]),
  );
  return (action) => known.get(keyOf(action)) ?? nothing;
}

function verdictsOf(where: SQL): SQL {
  return sql`(
    select jsonb_build_object(
      'helped', count(*) filter (where r.verdict = 'recovered-by-action'),
      'didNotHelp', count(*) filter (where r.verdict in ('no-change', 'worse')))
    from repairs r where r.action = w.type and ${where})`;
}

function resultsOf(part: 'h' | 'a') {
  const column = (name: string) => sql`${sql.identifier(part)}.${sql.identifier(name)}`;
  return sql`jsonb_build_object(
    'succeeded', coalesce(${column('succeeded')}, 0), 'failed', coalesce(${column('failed')}, 0),
    'unknown', coalesce(${column('unknown')}, 0), 'rejected', coalesce(${column('rejected')}, 0),
    'lastRunAt', to_char(${column('last_run')} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))`;
}

function keyOf({ type, target }: Action): string {
  return `${type}\n${target}`;
}
