import { sql, type SQL } from 'drizzle-orm';
import { pathFigures } from '../domain/task-path.ts';

const { success, failure, keptPerDay, dropBelow } = pathFigures;
const start = sql`${success}::float8`;

/** `pathNow` of the domain as SQL, over a row of `task_paths`. */
export function pathStrength(row: SQL): SQL {
  const left = sql`${row}.strength * power(${keptPerDay}::float8, greatest(0, extract(epoch from now() - ${row}.updated_at))::float8 / 86400)`;
  return sql`(case when ${left} < ${dropBelow}::float8 then 0 else ${left} end)`;
}

/**
 * Moves the path of the agent in `changed` by the end of its attempt; a part of the statement that ends it, so that each
 * end counts once (LEDGER 1.2).
 */
export function movePath(ok: boolean): SQL {
  const moved = sql`least(1, greatest(0, ${pathStrength(sql`task_paths`)} + ${ok ? success : failure}::float8))`;
  const [successes, failures] = ok ? [1, 0] : [0, 1];
  return sql`
    insert into task_paths (agent_id, task_type, strength, successes, failures, updated_at)
    select changed.agent_id, changed.type, ${ok ? start : sql`0`}, ${successes}::int, ${failures}::int, now()
    from changed join agents g on g.id = changed.agent_id
    on conflict (agent_id, task_type) do update
    set strength = case when ${moved} < ${dropBelow}::float8 then 0 else ${moved} end,
        successes = task_paths.successes + ${successes}::int, failures = task_paths.failures + ${failures}::int,
        updated_at = now()`;
}
