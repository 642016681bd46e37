import { and, eq, inArray, sql, type SQL } from 'drizzle-orm';
import type { ApprovalKind } from '../domain/approval.ts';
import { eventTypes } from '../domain/events.ts';
import type { IssueSeverity } from '../domain/analyzers/issue.ts';
import { canonical, type JsonObject } from '../domain/json.ts';
import { taskWorkflowId } from '../domain/names.ts';
import { approvalsNeeded, type Policy } from '../domain/policy.ts';
import {
  approvedContent,
  type DispatchMode,
  type ExecutorBinding,
  openTaskStates,
  type Risk,
  type TaskContent,
  type TaskOrigin,
  type TaskRole,
} from '../domain/task.ts';
import { change, type ChangeOutcome, fromNow } from './change.ts';
import type { Db } from './client.ts';
import { derivedId, digest } from './ids.ts';
import { policyFor } from './policies.ts';
import { tasks } from './schema/index.ts';
import type { TaskRow } from './tasks.ts';

export type NewTask = {
  id: string;
  type: string;
  title: string;
  payload: JsonObject;
  target: string;
  targetRole: TaskRole;
  severity: IssueSeverity;
  risk: Risk;
  reversible: boolean;
  origin: TaskOrigin;
  originId: string | null;
  fingerprint: string | null;
  evidence: string[];
  requestedBy: string;
  dispatchMode: DispatchMode;
  timeoutMs: number;
  /** Empty: as long as the policy gives. */
  expiresInMs: number | null;
  binding: ExecutorBinding;
};

export type CreatedTask = { id: string; workflowId: string; run: number; state: TaskRow['state'] };

/** The digest a person's approval of this content is bound to. */
export function taskDigest(content: TaskContent): string {
  return digest(canonical(approvedContent(content)));
}

export function approvalId(taskId: string, ordinal: number): string {
  return derivedId('apr', `${taskId}#${ordinal}`);
}

export type ApprovalSeed = {
  id: string;
  kind: ApprovalKind;
  title: string;
  summary: JsonObject;
  target: string;
  type: string;
  risk: Risk;
  digest: string;
  policy: Policy;
  requestedBy: string;
  workflowId: string;
  /** Empty: as long as the policy gives. */
  expiresInMs?: number | null;
};

/** Opens an approval for the row in `changed`; a part of the statement that creates the need for it. */
export function openApproval(seed: ApprovalSeed): SQL {
  const { policy } = seed;
  return sql`
    insert into approvals (id, kind, subject_id, title, summary, target, type, risk, digest, policy_id, policy_version,
                           rule, state, requested_by, requested_by_person, required_approvals, workflow_id, expires_at)
    select ${seed.id}, ${seed.kind}, changed.id, ${seed.title}, ${JSON.stringify(seed.summary)}::text::jsonb,
           ${seed.target}, ${seed.type}, ${seed.risk}, ${seed.digest}, ${policy.id}, ${policy.version}::int,
           ${JSON.stringify(policy.rule)}::text::jsonb, 'open', ${seed.requestedBy},
           coalesce((select owner from principals p where p.id = ${seed.requestedBy}), ${seed.requestedBy}),
           ${approvalsNeeded(policy.rule)}::int, ${seed.workflowId},
           ${fromNow(seed.expiresInMs ?? policy.rule.expiresInMs)}
    from changed`;
}

/** What the inbox shows about a task: the content as approved, and whether it can be undone. */
export function approvalSummary(
  task: Pick<TaskRow, 'type' | 'payload' | 'target' | 'reversible' | 'origin'>,
  binding: ExecutorBinding,
): JsonObject {
  return {
    type: task.type,
    target: task.target,
    payload: task.payload,
    executor: binding,
    reversible: task.reversible ? 'declared' : 'no',
    origin: task.origin,
  };
}

/** Stores a proposal and its open approval; unchanged when its id or the fix target already has an open task. */
export async function createTask(
  db: Db,
  input: NewTask,
  op: { key: string; actor: string; requestDigest?: string },
): Promise<ChangeOutcome<CreatedTask>> {
  const { binding, expiresInMs, ...task } = input;
  const policy = await policyFor(db, { kind: 'task', ...task });
  const workflowId = taskWorkflowId(task.id, 1);
  const row = {
    ...task,
    state: 'pending-approval' as const,
    evidenceCount: task.evidence.length,
    agentId: binding?.agentId ?? null,
    approvalId: approvalId(task.id, 1),
    digest: taskDigest({ ...task, binding, policyVersion: policy.version }),
    policyVersion: policy.version,
    workflowId,
  };
  return change<CreatedTask>(db, {
    opKey: op.key,
    write: db.insert(tasks).values(row).onConflictDoNothing().returning().getSQL(),
    also: [
      openApproval({
        id: row.approvalId,
        kind: 'task',
        title: task.title,
        summary: approvalSummary(task, binding),
        risk: task.risk,
        digest: row.digest,
        target: task.target,
        type: task.type,
        policy,
        requestedBy: task.requestedBy,
        workflowId,
        expiresInMs,
      }),
    ],
    events: [
      {
        type: eventTypes.taskCreated,
        source: { type: 'squad', id: task.id },
        payload: {
          taskId: task.id,
          taskType: task.type,
          target: task.target,
          risk: task.risk,
          approvalId: row.approvalId,
        },
        correlationId: task.id,
        ...(task.evidence[0] === undefined ? {} : { causationId: task.evidence[0] }),
      },
    ],
    audit: {
      actor: op.actor,
      action: 'task.create',
      subjectKind: 'task',
      subjectId: task.id,
      detail: {
        digest: row.digest,
        risk: task.risk,
        approvalId: row.approvalId,
        requestedBy: task.requestedBy,
        required: approvalsNeeded(policy.rule),
        requestDigest: op.requestDigest ?? null,
      },
    },
    result: sql`jsonb_build_object('id', changed.id, 'workflowId', changed.workflow_id, 'run', changed.run,
                                   'state', changed.state)`,
  });
}

const keptEvidence = 50;

/** Further findings of the same fix target join the open proposal instead of opening another (FEATURES 2.5). */
export async function attachEvidence(
  db: Db,
  input: { fingerprint: string; evidence: string[]; cycleId: string },
): Promise<ChangeOutcome<{ id: string }>> {
  const newest = JSON.stringify(input.evidence);
  return change(db, {
    opKey: `task.evidence:${input.cycleId}:${input.fingerprint}`,
    write: db
      .update(tasks)
      .set({
        evidence: sql`(
          select coalesce(jsonb_agg(id order by place), '[]'::jsonb) from (
            select id, min(place) as place
            from jsonb_array_elements_text(${newest}::text::jsonb || ${tasks.evidence}) with ordinality as e(id, place)
            group by id order by min(place) limit ${keptEvidence}
          ) as newest)`,
        evidenceCount: sql`${tasks.evidenceCount} + (
          select count(*) from jsonb_array_elements_text(${newest}::text::jsonb) as e(id)
          where not ${tasks.evidence} ? e.id)::int`,
      })
      .where(and(eq(tasks.fingerprint, input.fingerprint), inArray(tasks.state, [...openTaskStates])))
      .returning()
      .getSQL(),
    audit: {
      actor: 'halo',
      action: 'task.evidence',
      subjectKind: 'halo-cycle',
      subjectId: input.cycleId,
      detail: { fingerprint: input.fingerprint },
    },
    result: sql`jsonb_build_object('id', changed.id)`,
  });
}
