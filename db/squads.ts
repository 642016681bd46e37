import { and, asc, eq, gt, sql, type SQL } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { openTaskStates, type TaskRole } from '../domain/task.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { squadMembers, squads } from './schema/index.ts';
import { withinScopes } from './scopes.ts';

export type SquadRow = typeof squads.$inferSelect;
type Op = { actor: string; opKey: string };

export async function getSquad(db: Db, name: string): Promise<SquadRow | null> {
  const [row] = await db.select().from(squads).where(eq(squads.name, name));
  return row ?? null;
}

/** One page of squads, by name. */
export async function listSquads(
  db: Db,
  after: string,
  limit: number,
  scopes: readonly string[] | null = null,
): Promise<SquadRow[]> {
  return db
    .select()
    .from(squads)
    .where(and(gt(squads.name, after), withinScopes(sql`('squad:' || ${squads.name})`, scopes)))
    .orderBy(asc(squads.name))
    .limit(limit);
}

export type SquadMember = {
  squad: string;
  agentId: string;
  name: string;
  role: TaskRole;
  state: string;
  running: number;
  maxConcurrency: number;
  /** Attempts that ended in the last seven days, and how many of them succeeded. */
  ended: number;
  succeeded: number;
};

/** The members of some squads with what they do now and did of late. */
export async function listSquadMembers(db: Db, names: string[]): Promise<SquadMember[]> {
  if (names.length === 0) return [];
  const rows = await db.execute(sql`
    select m.squad, m.agent_id as "agentId", g.name, m.role, g.state, g.max_concurrency as "maxConcurrency",
           (select count(*)::int from tasks t
            where t.agent_id = g.id and t.state = 'running' and not t.outcome_unknown) as running,
           coalesce(a.ended, 0) as ended, coalesce(a.succeeded, 0) as succeeded
    from squad_members m join agents g on g.id = m.agent_id
    left join lateral (
      select count(*)::int as ended, (count(*) filter (where x.state = 'succeeded'))::int as succeeded
      from task_attempts x
      where x.agent_id = g.id and x.state in ('succeeded', 'failed') and x.ended_at > now() - interval '7 days'
    ) a on true
    where m.squad in (select jsonb_array_elements_text(${JSON.stringify(names)}::text::jsonb))
    order by m.squad, g.name limit 10000`);
  return rows as unknown as SquadMember[];
}

const openStates = sql`(select jsonb_array_elements_text(${JSON.stringify(openTaskStates)}::text::jsonb))`;

/** How many open tasks each of these squads has. */
export async function countSquadTasks(db: Db, names: string[]): Promise<Map<string, number>> {
  if (names.length === 0) return new Map();
  const rows = await db.execute(sql`
    select squad, count(*)::int as open from tasks
    where squad in (select jsonb_array_elements_text(${JSON.stringify(names)}::text::jsonb)) and state in ${openStates}
    group by squad`);
  return new Map((rows as unknown as { squad: string; open: number }[]).map((row) => [row.squad, row.open]));
}

/** Creates a squad; unchanged when its name is taken. */
export async function createSquad(
  db: Db,
  input: { name: string; description: string; owner: string } & Op,
): Promise<ChangeOutcome<{ name: string }>> {
  const { name, description, owner } = input;
  return change(db, {
    opKey: input.opKey,
    write: db.insert(squads).values({ name, description, owner }).onConflictDoNothing().returning().getSQL(),
    ...recordOf(input, name, 'created', { description }),
  });
}

export type SquadChange = {
  what: 'described' | 'led' | 'joined' | 'left';
  set?: { description?: string; leader?: string | null };
  also?: SQL[];
  detail: JsonObject;
};

/** Changes a squad that is still as it was read; unchanged when it is not, so that who leads it is always in it. */
export async function changeSquad(
  db: Db,
  squad: SquadRow,
  { what, set = {}, also = [], detail }: SquadChange,
  op: Op,
): Promise<ChangeOutcome<{ name: string }>> {
  return change(db, {
    opKey: op.opKey,
    write: db
      .update(squads)
      .set({ ...set, version: sql`${squads.version} + 1`, updatedAt: sql`now()` })
      .where(and(eq(squads.name, squad.name), eq(squads.version, squad.version)))
      .returning()
      .getSQL(),
    also,
    ...recordOf(op, squad.name, what, detail),
  });
}

/** Takes an agent in with a role, or gives a member another one. */
export function joining(agentId: string, role: TaskRole): SquadChange {
  const also = sql`
    insert into squad_members (squad, agent_id, role) select changed.name, ${agentId}, ${role} from changed
    on conflict (squad, agent_id) do update set role = excluded.role`;
  return { what: 'joined', also: [also], detail: { agentId, role } };
}

/** Lets a member go; a leader who leaves leads no more. */
export function leaving(squad: SquadRow, agentId: string): SquadChange {
  const also = sql`
    delete from squad_members using changed
    where squad_members.squad = changed.name and squad_members.agent_id = ${agentId}`;
  const set = squad.leader === agentId ? { leader: null } : {};
  return { what: 'left', set, also: [also], detail: { agentId } };
}

export async function isSquadMember(db: Db, squad: string, agentId: string): Promise<boolean> {
  const rows = await db
    .select({ agentId: squadMembers.agentId })
    .from(squadMembers)
    .where(and(eq(squadMembers.squad, squad), eq(squadMembers.agentId, agentId)));
  return rows.length > 0;
}

/** Deletes a squad without open tasks, and with it who was in it; unchanged when it has some or is gone. */
export async function deleteSquad(db: Db, name: string, op: Op): Promise<ChangeOutcome<{ name: string }>> {
  return change(db, {
    opKey: op.opKey,
    write: sql`
      delete from squads
      where name = ${name} and not exists (select from tasks t where t.squad = ${name} and t.state in ${openStates})
      returning *`,
    ...recordOf(op, name, 'deleted', {}),
  });
}

function recordOf(op: Op, name: string, what: string, detail: JsonObject) {
  return {
    events: [
      {
        type: eventTypes.squadChanged,
        source: { type: 'squad' as const, id: name },
        payload: { squad: name, change: what, ...detail },
      },
    ],
    audit: {
      actor: op.actor,
      action: `squad.${what}`,
      subjectKind: 'squad',
      subjectId: name,
      detail,
    },
    result: sql`jsonb_build_object('name', changed.name)`,
  };
}
