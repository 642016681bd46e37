import { sql, type SQL } from 'drizzle-orm';
import { overdueScore, priorityPoints } from '../domain/task-priority.ts';

/** `priorityScore` of the domain as SQL, over a row of `tasks` at a moment. */
export function taskScore(row: SQL, at: SQL = sql`now()`): SQL {
  const { urgent, high, normal, low } = priorityPoints;
  const left = sql`(${row}.due_at - ${at})`;
  return sql`(case when ${left} < interval '0' then ${overdueScore}::float8 else
    (case ${row}.priority when 'urgent' then ${urgent}::float8 when 'high' then ${high}::float8
                          when 'normal' then ${normal}::float8 else ${low}::float8 end)
    * (case when ${left} <= interval '1 hour' then 1.5 when ${left} <= interval '1 day' then 1.2 else 1 end)::float8
    * (case when jsonb_array_length(${row}.depends_on) > 0 then 1.1 else 1 end)::float8 end)`;
}
