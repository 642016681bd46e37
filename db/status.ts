import { desc, eq, sql } from 'drizzle-orm';
import type { AgentState } from '../domain/agent.ts';
import type { CycleState } from '../domain/halo.ts';
import type { ProbeState } from '../domain/probe.ts';
import type { Db, Sql } from './client.ts';
import { agents, approvals, haloCycles, probes } from './schema/index.ts';

export type RecordCounts = {
  openApprovals: number;
  agents: Partial<Record<AgentState, number>>;
  probes: Partial<Record<ProbeState, number>>;
  lastCycle: { id: string; state: CycleState; startedAt: Date } | null;
};

/** How much of what there is, for one look at the system. */
export async function countRecords(db: Db): Promise<RecordCounts> {
  const count = sql<number>`count(*)::int`;
  const [openApprovals, byAgent, byProbe, [lastCycle]] = await Promise.all([
    db.$count(approvals, eq(approvals.state, 'open')),
    db.select({ state: agents.state, count }).from(agents).groupBy(agents.state),
    db
      .select({ state: probes.state, count })
      .from(probes)
      .where(eq(probes.enabled, true))
      .groupBy(probes.state),
    db
      .select({ id: haloCycles.id, state: haloCycles.state, startedAt: haloCycles.startedAt })
      .from(haloCycles)
      .orderBy(desc(haloCycles.startedAt), desc(haloCycles.id))
      .limit(1),
  ]);
  return {
    openApprovals,
    agents: Object.fromEntries(byAgent.map((row) => [row.state, row.count])),
    probes: Object.fromEntries(byProbe.map((row) => [row.state, row.count])),
    lastCycle: lastCycle ?? null,
  };
}

/** Fails when the database does not answer. */
export async function pingDatabase(log: Sql): Promise<void> {
  await log`select 1`;
}

/** How many approvals wait for a person, and for how long the oldest does. */
export async function inboxAge(log: Sql): Promise<{ open: number; oldestMs: number }> {
  const [row] = await log<{ open: number; oldestMs: number }[]>`
    select count(*)::int as open,
           coalesce(greatest(extract(epoch from now() - min(created_at)) * 1000, 0), 0)::float8 as "oldestMs"
    from approvals where state = 'open'`;
  return row ?? { open: 0, oldestMs: 0 };
}
