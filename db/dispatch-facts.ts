import { eq } from 'drizzle-orm';
import type { Approver } from '../domain/approver.ts';
import { type Policy, resolvePolicy } from '../domain/policy.ts';
import type { AgentRow } from './agents.ts';
import type { ApprovalRow } from './approvals.ts';
import { readVotersOf } from './approvers.ts';
import type { Db } from './client.ts';
import { enabledPolicies } from './policies.ts';
import { agents, approvals, groupMembers, tasks } from './schema/index.ts';
import type { TaskRow } from './tasks.ts';

export type DispatchRead = {
  task: TaskRow;
  approval: ApprovalRow | null;
  agent: AgentRow | null;
  policy: Policy;
  /** Who voted on the approval, as they are now. */
  voters: Map<string, Approver>;
};

/** All that a dispatch is checked against, in one round trip: this is on the way from a yes to its agent. */
export async function readDispatch(db: Db, taskId: string): Promise<DispatchRead | null> {
  const [[row], known, groups, voters] = await Promise.all([
    db
      .select({ task: tasks, approval: approvals, agent: agents })
      .from(tasks)
      .leftJoin(approvals, eq(approvals.id, tasks.approvalId))
      .leftJoin(agents, eq(agents.id, tasks.agentId))
      .where(eq(tasks.id, taskId)),
    enabledPolicies(db),
    db
      .select({ name: groupMembers.groupName })
      .from(groupMembers)
      .innerJoin(tasks, eq(tasks.requestedBy, groupMembers.principalId))
      .where(eq(tasks.id, taskId)),
    readVotersOf(db, taskId),
  ]);
  if (row === undefined) return null;
  const policy = resolvePolicy(known, { kind: 'task', ...row.task, groups: groups.map(({ name }) => name) });
  return { ...row, policy, voters };
}
