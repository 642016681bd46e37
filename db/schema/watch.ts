import { boolean, index, integer, jsonb, pgTable, text } from 'drizzle-orm/pg-core';
import { agentStates, defaultMaxConcurrency, type ExecutorConfig } from '../../domain/agent.ts';
import { analyzers, issueSeverities, type WeakPoint } from '../../domain/analyzers/issue.ts';
import { type Analysis, cycleModes, cycleStates } from '../../domain/halo.ts';
import type { IncidentSummary, LeftOut } from '../../domain/plan.ts';
import type { JsonObject } from '../../domain/json.ts';
import { probeStates, type ProbeAssertions } from '../../domain/probe.ts';
import { executors, taskRoles } from '../../domain/task.ts';
import { principals } from './access.ts';
import { instant } from './columns.ts';

export const agents = pgTable('agents', {
  id: text('id').primaryKey(),
  name: text('name').notNull().unique(),
  role: text('role', { enum: taskRoles }).notNull(),
  capabilities: jsonb('capabilities').$type<string[]>().notNull(),
  executor: text('executor', { enum: executors }).notNull(),
  config: jsonb('config').$type<ExecutorConfig>().notNull(),
  /** Part of what an approval is bound to: a changed configuration voids it. */
  configVersion: integer('config_version').notNull().default(1),
  state: text('state', { enum: agentStates }).notNull(),
  /** The principal whose key this agent's process uses. */
  principalId: text('principal_id')
    .notNull()
    .references(() => principals.id),
  owner: text('owner')
    .notNull()
    .references(() => principals.id),
  /** How many tasks it runs at once; more wait for a place. */
  maxConcurrency: integer('max_concurrency').notNull().default(defaultMaxConcurrency),
  lastSeenAt: instant('last_seen_at'),
  createdAt: instant('created_at').notNull().defaultNow(),
  updatedAt: instant('updated_at').notNull().defaultNow(),
});

export type ProbeResult = {
  ok: boolean;
  status: number | null;
  latencyMs: number;
  failures: string[];
  at: string;
};

export const probes = pgTable('probes', {
  id: text('id').primaryKey(),
  name: text('name').notNull().unique(),
  method: text('method', { enum: ['GET', 'HEAD', 'POST'] }).notNull(),
  url: text('url').notNull(),
  headers: jsonb('headers').$type<Record<string, string>>().notNull(),
  body: text('body'),
  assertions: jsonb('assertions').$type<ProbeAssertions>().notNull(),
  timeoutMs: integer('timeout_ms').notNull(),
  /** Empty: on demand only. */
  intervalSeconds: integer('interval_seconds'),
  allowPrivateNetwork: boolean('allow_private_network').notNull(),
  enabled: boolean('enabled').notNull().default(true),
  owner: text('owner')
    .notNull()
    .references(() => principals.id),
  /** Ids of probes whose endpoints this one's cannot do without. */
  dependsOn: jsonb('depends_on').$type<string[]>().notNull().default([]),
  state: text('state', { enum: probeStates }).notNull(),
  consecutiveFailures: integer('consecutive_failures').notNull().default(0),
  lastResult: jsonb('last_result').$type<ProbeResult>(),
  createdAt: instant('created_at').notNull().defaultNow(),
  updatedAt: instant('updated_at').notNull().defaultNow(),
});

export const haloCycles = pgTable(
  'halo_cycles',
  {
    id: text('id').primaryKey(),
    mode: text('mode', { enum: cycleModes }).notNull(),
    state: text('state', { enum: cycleStates }).notNull(),
    trigger: jsonb('trigger').$type<JsonObject>().notNull(),
    weakPoints: jsonb('weak_points')
      .$type<Pick<WeakPoint, 'id' | 'severity' | 'title'>[]>()
      .notNull()
      .default([]),
    taskIds: jsonb('task_ids').$type<string[]>().notNull().default([]),
    /** What each analyzer did. */
    analyses: jsonb('analyses').$type<Analysis[]>().notNull().default([]),
    /** Weak points with one cause, by target. */
    incidents: jsonb('incidents').$type<IncidentSummary[]>().notNull().default([]),
    /** Ids of the insights that changed what this cycle did (LEDGER 5.6, D9). */
    insightsUsed: jsonb('insights_used').$type<string[]>().notNull().default([]),
    /** What the learning steps said that could not be done. */
    learningErrors: jsonb('learning_errors').$type<string[]>().notNull().default([]),
    /** Proposals that a kill switch did not allow. */
    leftOut: jsonb('left_out').$type<LeftOut[]>().notNull().default([]),
    error: text('error'),
    workflowId: text('workflow_id').notNull(),
    runId: text('run_id').notNull(),
    startedAt: instant('started_at').notNull().defaultNow(),
    endedAt: instant('ended_at'),
  },
  (table) => [index('halo_cycles_by_start').on(table.startedAt, table.id)],
);

export const haloIssues = pgTable(
  'halo_issues',
  {
    id: text('id').primaryKey(),
    cycleId: text('cycle_id')
      .notNull()
      .references(() => haloCycles.id),
    analyzer: text('analyzer', { enum: analyzers }).notNull(),
    key: text('key').notNull(),
    entityKind: text('entity_kind').notNull(),
    entityId: text('entity_id').notNull(),
    severity: text('severity', { enum: issueSeverities }).notNull(),
    title: text('title').notNull(),
    evidence: jsonb('evidence').$type<string[]>().notNull(),
    /** The figures that show it. */
    observed: jsonb('observed').$type<JsonObject>().notNull().default({}),
  },
  (table) => [index('halo_issues_by_cycle').on(table.cycleId)],
);
