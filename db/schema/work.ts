import { sql } from 'drizzle-orm';
import {
  bigint,
  bigserial,
  boolean,
  index,
  integer,
  jsonb,
  pgTable,
  text,
  uniqueIndex,
} from 'drizzle-orm/pg-core';
import {
  approvalKinds,
  approvalStates,
  type Finding,
  type Handover,
  type Vote,
} from '../../domain/approval-record.ts';
import type { AgentChoice } from '../../domain/agent.ts';
import { issueSeverities } from '../../domain/analyzers/issue.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { PolicyRule } from '../../domain/policy.ts';
import {
  dispatchModes,
  type EditedContent,
  executors,
  risks,
  taskOrigins,
  taskPriorities,
  taskRoles,
  taskStates,
} from '../../domain/task.ts';
import { waitKinds } from '../../domain/task-wait.ts';
import type { RewindTo } from '../../domain/subscription-request.ts';
import { principals } from './access.ts';
import { instant } from './columns.ts';

export const tasks = pgTable(
  'tasks',
  {
    id: text('id').primaryKey(),
    type: text('type').notNull(),
    title: text('title').notNull(),
    payload: jsonb('payload').$type<JsonObject>().notNull(),
    target: text('target').notNull(),
    targetRole: text('target_role', { enum: taskRoles }).notNull(),
    state: text('state', { enum: taskStates }).notNull(),
    severity: text('severity', { enum: issueSeverities }).notNull(),
    risk: text('risk', { enum: risks }).notNull(),
    reversible: boolean('reversible').notNull().default(false),
    origin: text('origin', { enum: taskOrigins }).notNull(),
    originId: text('origin_id'),
    /** The fix target; at most one open task has it (the migration adds the partial unique index's states). */
    fingerprint: text('fingerprint'),
    /** Ids of the events that support the proposal, newest first. */
    evidence: jsonb('evidence').$type<string[]>().notNull().default([]),
    evidenceCount: integer('evidence_count').notNull().default(0),
    /** How many later proposals with this fingerprint joined this one instead of opening another. */
    folded: integer('folded').notNull().default(0),
    /** The highest risk one of those gave, where that is above the risk of this one. */
    foldedRisk: text('folded_risk', { enum: risks }),
    requestedBy: text('requested_by')
      .notNull()
      .references(() => principals.id),
    /** Who wrote the content at hand, where that is not the requester any more. */
    editedBy: text('edited_by'),
    /** What a person who rejected it said should be different. */
    guidance: text('guidance'),
    agentId: text('agent_id'),
    squad: text('squad'),
    priority: text('priority', { enum: taskPriorities }).notNull().default('normal'),
    /** Tasks that must have succeeded first. */
    dependsOn: jsonb('depends_on').$type<string[]>().notNull().default([]),
    parentId: text('parent_id'),
    notBefore: instant('not_before'),
    dueAt: instant('due_at'),
    /** How many things it touches beside its target, by what is known of dependencies. */
    blastRadius: integer('blast_radius').notNull().default(0),
    /** The cycle that found a better proposal, and why; its run withdraws it. */
    supersededBy: text('superseded_by'),
    supersededBecause: text('superseded_because'),
    dispatchMode: text('dispatch_mode', { enum: dispatchModes }).notNull(),
    timeoutMs: integer('timeout_ms').notNull(),
    /** 1 for the first workflow run; each retry is a run of its own. */
    run: integer('run').notNull().default(1),
    attempt: integer('attempt').notNull().default(0),
    approvalId: text('approval_id').notNull(),
    /** How many approvals this task has asked for; part of the next approval's id. */
    approvals: integer('approvals').notNull().default(1),
    digest: text('digest').notNull(),
    policyVersion: integer('policy_version').notNull(),
    outcomeUnknown: boolean('outcome_unknown').notNull().default(false),
    progress: jsonb('progress').$type<{ fraction: number; message: string; at: string } | null>(),
    result: jsonb('result').$type<JsonObject>(),
    error: text('error'),
    workflowId: text('workflow_id').notNull(),
    /** Set by the run's first step; empty means that its start may have been lost (the reconciler looks). */
    runId: text('run_id'),
    /** Held by a kill switch on its way to dispatch; empty again once the relay lets it go (`released_at`). */
    parkedAt: instant('parked_at'),
    parkedBecause: text('parked_because'),
    releasedAt: instant('released_at'),
    /** What an approved task waits for before it begins by itself, and when its run was last told to ask again. */
    waitsSince: instant('waits_since'),
    waitsOn: text('waits_on', { enum: waitKinds }),
    waitsFor: text('waits_for'),
    wokenAt: instant('woken_at'),
    wakes: integer('wakes').notNull().default(0),
    /** Why this agent: the figures of those who could have taken it, when it was chosen. */
    agentChoice: jsonb('agent_choice').$type<AgentChoice>(),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
    endedAt: instant('ended_at'),
  },
  (table) => [
    uniqueIndex('tasks_one_open_per_fingerprint')
      .on(table.fingerprint)
      .where(sql`state in ('suggested', 'pending-approval', 'pending', 'running')`),
    index('tasks_by_state').on(table.state, table.createdAt),
    index('tasks_by_creation').on(table.createdAt, table.id),
    /** What became of the same action before, for the inbox. */
    index('tasks_by_action').on(table.type, table.target),
    index('tasks_unstarted')
      .on(table.updatedAt)
      .where(sql`run_id is null and state in ('suggested', 'pending-approval', 'pending', 'running')`),
    index('tasks_parked')
      .on(table.parkedAt, table.id)
      .where(sql`parked_at is not null and state = 'pending'`),
    index('tasks_released')
      .on(table.releasedAt)
      .where(sql`released_at is not null and state = 'pending'`),
    index('tasks_waiting')
      .on(table.agentId, table.waitsSince)
      .where(sql`waits_since is not null and state = 'pending'`),
    index('tasks_running')
      .on(table.agentId)
      .where(sql`state = 'running'`),
    index('tasks_of_parent')
      .on(table.parentId)
      .where(sql`parent_id is not null`),
    index('tasks_of_squad')
      .on(table.squad)
      .where(sql`squad is not null`),
  ],
);

export const taskLogs = pgTable(
  'task_logs',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    taskId: text('task_id')
      .notNull()
      .references(() => tasks.id),
    attempt: integer('attempt').notNull(),
    at: instant('at').notNull().defaultNow(),
    level: text('level', { enum: ['info', 'warning', 'error'] }).notNull(),
    message: text('message').notNull(),
  },
  (table) => [index('task_logs_by_task').on(table.taskId, table.id)],
);

/** The intent to act, written before an effect, and its result, written after it (DESIGN 7). */
export const taskAttempts = pgTable(
  'task_attempts',
  {
    /** `<task id>:<attempt>`, the idempotency key every executor carries. */
    key: text('key').primaryKey(),
    taskId: text('task_id')
      .notNull()
      .references(() => tasks.id),
    attempt: integer('attempt').notNull(),
    agentId: text('agent_id').notNull(),
    executor: text('executor', { enum: executors }).notNull(),
    state: text('state', { enum: ['intent', 'succeeded', 'failed', 'unknown', 'cancelled'] }).notNull(),
    dispatchedBy: text('dispatched_by').notNull(),
    digest: text('digest').notNull(),
    /** The machine a local executor acted on: only there can its outcome be looked up. */
    host: text('host'),
    /** The kill switch epoch it began under: an attempt with a lower one than its scope has is stopped. */
    epoch: bigint('epoch', { mode: 'number' }).notNull().default(0),
    /** How often its run was told to stop, and when last. */
    stopAsks: integer('stop_asks').notNull().default(0),
    stopAskedAt: instant('stop_asked_at'),
    startedAt: instant('started_at').notNull().defaultNow(),
    endedAt: instant('ended_at'),
  },
  (table) => [
    index('task_attempts_open')
      .on(table.taskId)
      .where(sql`state = 'intent'`),
  ],
);

export const approvals = pgTable(
  'approvals',
  {
    id: text('id').primaryKey(),
    kind: text('kind', { enum: approvalKinds }).notNull(),
    subjectId: text('subject_id').notNull(),
    title: text('title').notNull(),
    /** What a person needs to see to decide: content, target, reversibility. */
    summary: jsonb('summary').$type<JsonObject>().notNull(),
    risk: text('risk', { enum: risks }).notNull(),
    digest: text('digest').notNull(),
    /** What it is about: the target and type of the work, for the inbox, for scopes and for past results. */
    target: text('target').notNull().default(''),
    type: text('type').notNull().default(''),
    policyId: text('policy_id').notNull().default('built-in'),
    policyVersion: integer('policy_version').notNull(),
    /** The rule as it was when the approval was opened. */
    rule: jsonb('rule')
      .$type<PolicyRule>()
      .notNull()
      .default(sql`'{}'::jsonb`),
    state: text('state', { enum: approvalStates }).notNull(),
    requestedBy: text('requested_by').notNull(),
    /** The person behind the requester: itself, or the owner of an agent or a service. */
    requestedByPerson: text('requested_by_person').notNull().default(''),
    /** The person behind the first request, whoever edited the content since; and when that was. */
    askedByPerson: text('asked_by_person').notNull().default(''),
    askedAt: instant('asked_at').notNull().defaultNow(),
    requiredApprovals: integer('required_approvals').notNull(),
    votes: jsonb('votes').$type<Vote[]>().notNull().default([]),
    findings: jsonb('findings').$type<Finding[]>().notNull().default([]),
    handovers: jsonb('handovers').$type<Handover[]>().notNull().default([]),
    reminders: integer('reminders').notNull().default(0),
    remindedAt: instant('reminded_at'),
    escalatedAt: instant('escalated_at'),
    workflowId: text('workflow_id').notNull(),
    expiresAt: instant('expires_at').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    decidedAt: instant('decided_at'),
    /** Why an approval ended without a vote: what moved, or who cancelled. */
    closedBecause: text('closed_because'),
  },
  (table) => [
    index('approvals_by_state').on(table.state, table.createdAt, table.id),
    index('approvals_by_expiry').on(table.state, table.expiresAt, table.id),
    index('approvals_by_creation').on(table.createdAt, table.id),
    index('approvals_by_subject').on(table.subjectId),
  ],
);

/** What a person asked a run to do; kept until the run recorded an answer, re-sent by the relay until then. */
export const decisionRequests = pgTable(
  'decision_requests',
  {
    /** For a ticket its `jti`; for a request over HTTP the update id. */
    id: text('id').primaryKey(),
    action: text('action', {
      enum: ['approve', 'reject', 'edit', 'dispatch', 'cancel', 'pause', 'resume', 'rewind'],
    }).notNull(),
    source: text('source', { enum: ['api', 'ticket', 'raw'] }).notNull(),
    subjectId: text('subject_id').notNull(),
    approvalId: text('approval_id'),
    workflowId: text('workflow_id').notNull(),
    principalId: text('principal_id').notNull(),
    digest: text('digest'),
    reason: text('reason'),
    guidance: text('guidance'),
    acknowledgedFindings: jsonb('acknowledged_findings').$type<string[]>().notNull().default([]),
    breakGlass: boolean('break_glass').notNull().default(false),
    /** Of an edit: the members of the content that change. Of a rewind: the place in the log to go back to. */
    content: jsonb('content').$type<EditedContent & { rewindTo?: RewindTo }>(),
    /** What the person showed who they are with: a key, or a login at an identity provider. */
    keyId: text('key_id'),
    loginAt: instant('login_at'),
    state: text('state', { enum: ['open', 'recorded', 'refused'] }).notNull(),
    outcome: jsonb('outcome').$type<JsonObject>(),
    expiresAt: instant('expires_at'),
    createdAt: instant('created_at').notNull().defaultNow(),
    settledAt: instant('settled_at'),
    /** When the run was known to have heard the answer; what was recorded in a step that the run then lost is sent again. */
    acknowledgedAt: instant('acknowledged_at'),
  },
  (table) => [
    index('decision_requests_open')
      .on(table.createdAt)
      .where(sql`state = 'open'`),
    index('decision_requests_unheard')
      .on(table.createdAt)
      .where(sql`state = 'recorded' and source = 'api' and acknowledged_at is null`),
  ],
);
