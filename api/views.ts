import { z } from '@hono/zod-openapi';
import { issueSeverities } from '../domain/analyzers/issue.ts';
import {
  dispatchModes,
  executors,
  risks,
  taskOrigins,
  taskPriorities,
  taskRoles,
  taskStates,
} from '../domain/task.ts';
import { priorityScore } from '../domain/task-priority.ts';
import { waitKinds } from '../domain/task-wait.ts';
import type { TaskAttemptRow, TaskRow } from '../db/tasks.ts';
import type { ApiDeps } from './context.ts';
import { anyObject, instant, temporalLink, temporalLinkSchema } from './schemas.ts';

export const taskSchema = z
  .object({
    id: z.string(),
    type: z.string(),
    title: z.string(),
    target: z.string(),
    targetRole: z.enum(taskRoles),
    state: z.enum(taskStates),
    severity: z.enum(issueSeverities),
    risk: z.enum(risks),
    reversible: z.boolean(),
    /** How many other entities it reaches, as far as HALO knows. */
    blastRadius: z.number(),
    origin: z.enum(taskOrigins),
    originId: z.string().nullable(),
    requestedBy: z.string(),
    agentId: z.string().nullable(),
    dispatchMode: z.enum(dispatchModes),
    timeoutMs: z.number(),
    run: z.number(),
    attempt: z.number(),
    approvalId: z.string(),
    digest: z.string(),
    outcomeUnknown: z.boolean(),
    progress: z.object({ fraction: z.number(), message: z.string(), at: z.string() }).nullable(),
    error: z.string().nullable(),
    evidenceCount: z.number(),
    squad: z.string().nullable(),
    priority: z.enum(taskPriorities),
    score: z.number(),
    dependsOn: z.array(z.string()),
    parentId: z.string().nullable(),
    notBefore: instant.nullable(),
    dueAt: instant.nullable(),
    /** What an approved task waits for before it begins by itself. */
    waitsFor: z.string().nullable(),
    waitsOn: z.enum(waitKinds).nullable(),
    /** The cycle of HALO that found a better proposal or none to be needed, and why; a person's earlier decision stands. */
    supersededBy: z.string().nullable(),
    supersededBecause: z.string().nullable(),
    createdAt: instant,
    updatedAt: instant,
    endedAt: instant.nullable(),
    temporal: temporalLinkSchema,
  })
  .openapi('Task');

function scoreOf({ priority, dueAt, dependsOn }: TaskRow, nowMs: number): number {
  const dueAtMs = dueAt?.getTime() ?? null;
  return priorityScore({ priority, dueAtMs, dependencies: dependsOn.length }, nowMs);
}

/** A task as lists show it: without payload, evidence and result, which can be large. */
export function taskView(deps: ApiDeps, row: TaskRow): z.infer<typeof taskSchema> {
  return {
    id: row.id,
    type: row.type,
    title: row.title,
    target: row.target,
    targetRole: row.targetRole,
    state: row.state,
    severity: row.severity,
    risk: row.risk,
    reversible: row.reversible,
    blastRadius: row.blastRadius,
    origin: row.origin,
    originId: row.originId,
    requestedBy: row.requestedBy,
    agentId: row.agentId,
    dispatchMode: row.dispatchMode,
    timeoutMs: row.timeoutMs,
    run: row.run,
    attempt: row.attempt,
    approvalId: row.approvalId,
    digest: row.digest,
    outcomeUnknown: row.outcomeUnknown,
    progress: row.progress ?? null,
    error: row.error,
    evidenceCount: row.evidenceCount,
    squad: row.squad,
    priority: row.priority,
    score: scoreOf(row, Date.now()),
    dependsOn: row.dependsOn,
    parentId: row.parentId,
    notBefore: row.notBefore?.toISOString() ?? null,
    dueAt: row.dueAt?.toISOString() ?? null,
    waitsFor: row.state === 'pending' ? row.waitsFor : null,
    waitsOn: row.state === 'pending' ? row.waitsOn : null,
    supersededBy: row.supersededBy,
    supersededBecause: row.supersededBecause,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
    temporal: temporalLink(deps, row.workflowId, row.runId),
  };
}

export const taskWholeSchema = taskSchema
  .extend({ payload: anyObject, evidence: z.array(z.string()), result: anyObject.nullable() })
  .openapi('TaskWhole');

export function taskWhole(deps: ApiDeps, row: TaskRow): z.infer<typeof taskWholeSchema> {
  return { ...taskView(deps, row), payload: row.payload, evidence: row.evidence, result: row.result };
}

export const attemptSchema = z.object({
  key: z.string(),
  attempt: z.number(),
  agentId: z.string(),
  executor: z.enum(executors),
  state: z.enum(['intent', 'succeeded', 'failed', 'unknown', 'cancelled']),
  dispatchedBy: z.string(),
  digest: z.string(),
  startedAt: instant,
  endedAt: instant.nullable(),
});

export function attemptView(row: TaskAttemptRow): z.infer<typeof attemptSchema> {
  return {
    key: row.key,
    attempt: row.attempt,
    agentId: row.agentId,
    executor: row.executor,
    state: row.state,
    dispatchedBy: row.dispatchedBy,
    digest: row.digest,
    startedAt: row.startedAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
  };
}
