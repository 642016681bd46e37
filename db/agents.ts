import { and, asc, eq, gt, ne, sql } from 'drizzle-orm';
import { silentAfterMs, type AgentSnapshot } from '../domain/analyzers/agent-health.ts';
import type { AgentCandidate, AgentState, ExecutorConfig } from '../domain/agent.ts';
import { eventTypes } from '../domain/events.ts';
import type { Executor, TaskRole } from '../domain/task.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { pathStrength } from './task-paths.ts';
import { withinScopes } from './scopes.ts';
import { agents } from './schema/index.ts';

export type AgentRow = typeof agents.$inferSelect;

export async function getAgent(db: Db, id: string): Promise<AgentRow | null> {
  const [row] = await db.select().from(agents).where(eq(agents.id, id));
  return row ?? null;
}

export async function findAgentByPrincipal(db: Db, principalId: string): Promise<AgentRow | null> {
  const [row] = await db.select().from(agents).where(eq(agents.principalId, principalId));
  return row ?? null;
}

export async function listAgents(
  db: Db,
  after: string,
  limit: number,
  scopes: readonly string[] | null = null,
): Promise<AgentRow[]> {
  return db
    .select()
    .from(agents)
    .where(and(gt(agents.id, after), withinScopes(sql`('agent:' || ${agents.id})`, scopes)))
    .orderBy(asc(agents.id))
    .limit(limit);
}

/** The agents a task could go to. */
export async function listCandidates(db: Db): Promise<AgentCandidate[]> {
  return db
    .select({
      id: agents.id,
      name: agents.name,
      role: agents.role,
      capabilities: agents.capabilities,
      executor: agents.executor,
      configVersion: agents.configVersion,
      state: agents.state,
      maxConcurrency: agents.maxConcurrency,
      running: sql<number>`(select count(*)::int from tasks t
        where t.agent_id = agents.id and t.state = 'running' and not t.outcome_unknown)`,
      paths: sql<Record<string, number>>`coalesce((
        select jsonb_object_agg(p.task_type, ${pathStrength(sql`p`)}) from task_paths p where p.agent_id = agents.id), '{}')`,
      squads: sql<Record<string, TaskRole>>`coalesce((
        select jsonb_object_agg(m.squad, m.role) from squad_members m where m.agent_id = agents.id), '{}')`,
    })
    .from(agents)
    .where(ne(agents.state, 'disabled'))
    .orderBy(asc(agents.name))
    .limit(1000);
}

/** What the agent-health analyzer looks at; silence is measured by the database's clock. */
export async function agentSnapshots(db: Db): Promise<AgentSnapshot[]> {
  const rows = await db
    .select({
      agentId: agents.id,
      name: agents.name,
      owner: agents.owner,
      state: agents.state,
      executor: agents.executor,
      silentForMs: sql<number>`(extract(epoch from now() - coalesce(${agents.lastSeenAt}, ${agents.createdAt})) * 1000)::float8`,
    })
    .from(agents)
    .limit(10_000);
  return rows.map(({ executor, ...row }) => ({ ...row, beats: executor === 'temporal' }));
}

export type NewAgent = {
  id: string;
  name: string;
  role: TaskRole;
  capabilities: string[];
  executor: Executor;
  config: ExecutorConfig;
  principalId: string;
  owner: string;
  maxConcurrency?: number | undefined;
};

/** Registers an agent; unchanged when its name is taken. */
export async function registerAgent(
  db: Db,
  input: NewAgent & { actor: string; opKey: string },
): Promise<ChangeOutcome<{ id: string }>> {
  const { actor, opKey, ...agent } = input;
  return change(db, {
    opKey,
    write: db
      .insert(agents)
      .values({ ...agent, state: 'registered' })
      .onConflictDoNothing()
      .returning()
      .getSQL(),
    events: [
      {
        type: eventTypes.agentRegistered,
        source: { type: 'agent', id: agent.id },
        payload: { agentId: agent.id, name: agent.name, role: agent.role, capabilities: agent.capabilities },
      },
    ],
    audit: {
      actor,
      action: 'agent.register',
      subjectKind: 'agent',
      subjectId: agent.id,
      detail: { name: agent.name, role: agent.role, executor: agent.executor },
    },
    result: sql`jsonb_build_object('id', changed.id)`,
  });
}

/** A new configuration is a new version: every approval given under the old one is void at dispatch. */
export async function configureAgent(
  db: Db,
  input: { id: string; expectedVersion: number; config: ExecutorConfig; actor: string; opKey: string },
): Promise<ChangeOutcome<{ configVersion: number }>> {
  return change(db, {
    opKey: input.opKey,
    write: db
      .update(agents)
      .set({
        config: input.config,
        configVersion: sql`${agents.configVersion} + 1`,
        updatedAt: sql`now()`,
      })
      .where(and(eq(agents.id, input.id), eq(agents.configVersion, input.expectedVersion)))
      .returning()
      .getSQL(),
    events: [
      {
        type: eventTypes.agentStatus,
        source: { type: 'agent', id: input.id },
        payload: { agentId: input.id, configVersion: input.expectedVersion + 1 },
      },
    ],
    audit: { actor: input.actor, action: 'agent.configure', subjectKind: 'agent', subjectId: input.id },
    result: sql`jsonb_build_object('configVersion', changed.config_version)`,
  });
}

/** How many tasks an agent runs at once; no approval is bound to it. Unchanged when it is that already. */
export async function limitAgent(
  db: Db,
  input: { id: string; maxConcurrency: number; actor: string; opKey: string },
): Promise<ChangeOutcome<{ maxConcurrency: number }>> {
  const { id, maxConcurrency } = input;
  return change(db, {
    opKey: input.opKey,
    write: db
      .update(agents)
      .set({ maxConcurrency, updatedAt: sql`now()` })
      .where(and(eq(agents.id, id), ne(agents.maxConcurrency, maxConcurrency)))
      .returning()
      .getSQL(),
    events: [
      {
        type: eventTypes.agentStatus,
        source: { type: 'agent', id },
        payload: { agentId: id, maxConcurrency },
      },
    ],
    audit: {
      actor: input.actor,
      action: 'agent.limit',
      subjectKind: 'agent',
      subjectId: id,
      detail: { maxConcurrency },
    },
    result: sql`jsonb_build_object('maxConcurrency', changed.max_concurrency)`,
  });
}

/** Sets the state a person or the system decided on; unchanged when the agent already has it. */
export async function setAgentState(
  db: Db,
  input: { id: string; state: AgentState; actor: string; opKey: string },
): Promise<ChangeOutcome<{ state: AgentState }>> {
  return change(db, {
    opKey: input.opKey,
    write: db
      .update(agents)
      .set({ state: input.state, updatedAt: sql`now()` })
      .where(and(eq(agents.id, input.id), ne(agents.state, input.state)))
      .returning()
      .getSQL(),
    events: [
      {
        type: eventTypes.agentStatus,
        source: { type: 'agent', id: input.id },
        severity: input.state === 'offline' ? 'warning' : 'info',
        payload: { agentId: input.id, state: input.state },
      },
    ],
    audit: {
      actor: input.actor,
      action: 'agent.state',
      subjectKind: 'agent',
      subjectId: input.id,
      detail: { state: input.state },
    },
    result: sql`jsonb_build_object('state', changed.state)`,
  });
}

/** A sign of life. Only the way back from offline is a state change; the rest moves one timestamp. */
export async function beat(db: Db, id: string, opKey: string): Promise<boolean> {
  const [row] = await db
    .update(agents)
    .set({ lastSeenAt: sql`now()` })
    .where(and(eq(agents.id, id), ne(agents.state, 'disabled')))
    .returning({ state: agents.state });
  if (row === undefined) return false;
  if (row.state === 'offline' || row.state === 'registered')
    await setAgentState(db, { id, state: 'online', actor: id, opKey });
  return true;
}

/** Marks agents offline that have been silent too long; answers how many. */
export async function markSilentAgents(db: Db, opKey: string): Promise<number> {
  const silent = await db
    .select({ id: agents.id })
    .from(agents)
    .where(
      and(
        eq(agents.state, 'online'),
        eq(agents.executor, 'temporal'),
        sql`coalesce(${agents.lastSeenAt}, ${agents.createdAt}) < now() - make_interval(secs => ${silentAfterMs / 1000}::double precision)`,
      ),
    );
  for (const { id } of silent)
    await setAgentState(db, { id, state: 'offline', actor: 'halo', opKey: `${opKey}:${id}` });
  return silent.length;
}
