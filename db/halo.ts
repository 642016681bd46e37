import { and, desc, eq, inArray, lt, or, sql } from 'drizzle-orm';
import type { Issue, WeakPoint } from '../domain/analyzers/issue.ts';
import { eventTypes, type NewEvent } from '../domain/events.ts';
import { type Analysis, type CycleMode, type CycleState, cycleSeverity } from '../domain/halo.ts';
import type { IncidentSummary, LeftOut } from '../domain/plan.ts';
import type { JsonObject } from '../domain/json.ts';
import { change } from './change.ts';
import type { Db } from './client.ts';
import { derivedId } from './ids.ts';
import { haloCycles, haloIssues, tasks } from './schema/index.ts';

export type HaloCycleRow = typeof haloCycles.$inferSelect;
export type HaloIssueRow = typeof haloIssues.$inferSelect;

export async function getHaloCycle(db: Db, id: string): Promise<HaloCycleRow | null> {
  const [row] = await db.select().from(haloCycles).where(eq(haloCycles.id, id));
  return row ?? null;
}

export async function listHaloCycles(
  db: Db,
  before: { startedAt: Date; id: string } | null,
  limit: number,
): Promise<HaloCycleRow[]> {
  return db
    .select()
    .from(haloCycles)
    .where(
      before === null
        ? undefined
        : or(
            lt(haloCycles.startedAt, before.startedAt),
            and(eq(haloCycles.startedAt, before.startedAt), lt(haloCycles.id, before.id)),
          ),
    )
    .orderBy(desc(haloCycles.startedAt), desc(haloCycles.id))
    .limit(limit);
}

export async function listHaloIssues(db: Db, cycleId: string): Promise<HaloIssueRow[]> {
  return db.select().from(haloIssues).where(eq(haloIssues.cycleId, cycleId)).orderBy(haloIssues.id);
}

/** The tasks that a cycle proposed, as they are now. */
export async function listProposals(db: Db, cycleId: string) {
  const { id, title, target, risk, state, blastRadius } = tasks;
  return db
    .select({ taskId: id, title, target, risk, state, blastRadius })
    .from(tasks)
    .where(and(eq(tasks.origin, 'halo'), eq(tasks.originId, cycleId)))
    .orderBy(tasks.createdAt, id);
}

export type NewCycle = {
  cycleId: string;
  mode: CycleMode;
  trigger: JsonObject;
  workflowId: string;
  runId: string;
};

export async function beginCycle(db: Db, input: NewCycle): Promise<void> {
  const { cycleId, ...cycle } = input;
  await change(db, {
    opKey: `halo.begin:${cycleId}`,
    write: db
      .insert(haloCycles)
      .values({ id: cycleId, ...cycle, state: 'analyzing' })
      .onConflictDoNothing()
      .returning()
      .getSQL(),
    events: [haloEvent(eventTypes.haloCycleStarted, cycleId, { mode: cycle.mode, trigger: cycle.trigger })],
    audit: {
      actor: 'halo',
      action: 'halo.cycle.start',
      subjectKind: 'halo-cycle',
      subjectId: cycleId,
      detail: { mode: cycle.mode, trigger: cycle.trigger },
    },
  });
}

export type CycleFindings = {
  cycleId: string;
  issues: Issue[];
  weakPoints: WeakPoint[];
  analyses?: Analysis[];
  insightsUsed?: string[];
  incidents?: IncidentSummary[];
};

/** Stores what the analyzers found; one event for each critical weak point, none of which can trigger HALO again. */
export async function recordIssues(db: Db, input: CycleFindings): Promise<void> {
  const { cycleId, analyses = [], insightsUsed = [], incidents = [] } = input;
  const rows = input.issues.map((issue, index) => ({
    id: derivedId('iss', `${cycleId}|${issue.analyzer}|${issue.key}|${index}`),
    analyzer: issue.analyzer,
    key: issue.key,
    entity_kind: issue.entityKind,
    entity_id: issue.entityId,
    severity: issue.severity,
    title: issue.title,
    evidence: issue.evidence,
    observed: issue.observed ?? {},
  }));
  const critical = input.weakPoints.filter((weakPoint) => weakPoint.severity === 'critical');
  await change(db, {
    opKey: `halo.issues:${cycleId}`,
    write: move(db, cycleId, 'analyzing', 'planning', {
      weakPoints: input.weakPoints.map(({ id, severity, title }) => ({ id, severity, title })),
      ...{ analyses, insightsUsed, incidents },
    }),
    also: [
      sql`
        insert into halo_issues (id, cycle_id, analyzer, key, entity_kind, entity_id, severity, title, evidence, observed)
        select i.id, changed.id, i.analyzer, i.key, i.entity_kind, i.entity_id, i.severity, i.title, i.evidence, i.observed
        from changed, jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as i(
          id text, analyzer text, key text, entity_kind text, entity_id text, severity text, title text, evidence jsonb, observed jsonb)`,
    ],
    events: [
      haloEvent(eventTypes.haloCyclePlanned, cycleId, {
        issues: rows.length,
        weakPoints: input.weakPoints.length,
      }),
      ...critical.map((weakPoint) => ({
        ...haloEvent(eventTypes.haloWeakPointCritical, cycleId, {
          weakPoint: weakPoint.id,
          title: weakPoint.title,
          entity: `${weakPoint.entityKind}:${weakPoint.entityId}`,
        }),
        severity: 'critical' as const,
      })),
    ],
    audit: {
      actor: 'halo',
      action: 'halo.cycle.plan',
      subjectKind: 'halo-cycle',
      subjectId: cycleId,
      detail: { issues: rows.length, weakPoints: input.weakPoints.map(({ id }) => id), insightsUsed },
    },
  });
}

/** The findings are planned; from here on tasks of this cycle come into being. */
export async function beginProposing(db: Db, cycleId: string): Promise<void> {
  await change(db, {
    opKey: `halo.propose:${cycleId}`,
    write: move(db, cycleId, 'planning', 'proposing', {}),
    audit: { actor: 'halo', action: 'halo.cycle.propose', subjectKind: 'halo-cycle', subjectId: cycleId },
  });
}

/** Proposals that a kill switch did not allow stay on the cycle, so that nobody takes its silence for health. */
export async function recordLeftOut(db: Db, input: { cycleId: string; leftOut: LeftOut[] }): Promise<void> {
  const { cycleId, leftOut } = input;
  await change(db, {
    opKey: `halo.left-out:${cycleId}`,
    write: move(db, cycleId, 'proposing', 'proposing', { leftOut }),
    audit: {
      actor: 'halo',
      action: 'halo.proposals.held',
      subjectKind: 'halo-cycle',
      subjectId: cycleId,
      detail: { leftOut },
    },
  });
}

/** The tasks have their runs; what this cycle can learn comes next. */
export async function beginLearning(db: Db, cycleId: string): Promise<void> {
  await change(db, {
    opKey: `halo.learn:${cycleId}`,
    write: move(db, cycleId, 'proposing', 'learning', {}),
    audit: { actor: 'halo', action: 'halo.cycle.learn', subjectKind: 'halo-cycle', subjectId: cycleId },
  });
}

/** A learning step that could not be done stays on the cycle. */
export async function recordLearningError(
  db: Db,
  input: { cycleId: string; step: string; message: string },
): Promise<void> {
  const { cycleId, step, message } = input;
  await change(db, {
    opKey: `halo.not-learned:${cycleId}:${step}`,
    write: db
      .update(haloCycles)
      .set({ learningErrors: sql`${haloCycles.learningErrors} || ${JSON.stringify([message])}::text::jsonb` })
      .where(eq(haloCycles.id, cycleId))
      .returning()
      .getSQL(),
    audit: {
      actor: 'halo',
      action: 'halo.cycle.not-learned',
      subjectKind: 'halo-cycle',
      subjectId: cycleId,
      detail: { step, message },
    },
  });
}

export async function finishCycle(
  db: Db,
  input: { cycleId: string; taskIds: string[]; weakPoints: number },
): Promise<void> {
  const { cycleId, taskIds } = input;
  const leftOut = (await getHaloCycle(db, cycleId))?.leftOut.length ?? 0;
  await change(db, {
    opKey: `halo.finish:${cycleId}`,
    // Cycles from before HALO learned end in proposing.
    write: move(db, cycleId, ['proposing', 'learning'], 'completed', { taskIds, endedAt: sql`now()` }),
    events: [
      {
        ...haloEvent(eventTypes.haloCycleCompleted, cycleId, {
          taskIds,
          weakPoints: input.weakPoints,
          leftOut,
        }),
        severity: cycleSeverity(input.weakPoints),
      },
    ],
    audit: {
      actor: 'halo',
      action: 'halo.cycle.complete',
      subjectKind: 'halo-cycle',
      subjectId: cycleId,
      detail: { taskIds, weakPoints: input.weakPoints },
    },
  });
}

export async function failCycle(db: Db, input: { cycleId: string; error: string }): Promise<void> {
  const { cycleId, error } = input;
  await change(db, {
    opKey: `halo.fail:${cycleId}`,
    write: db
      .update(haloCycles)
      .set({ state: 'failed', error, endedAt: sql`now()` })
      .where(
        and(
          eq(haloCycles.id, cycleId),
          inArray(haloCycles.state, ['analyzing', 'planning', 'proposing', 'learning']),
        ),
      )
      .returning()
      .getSQL(),
    events: [{ ...haloEvent(eventTypes.haloCycleFailed, cycleId, { error }), severity: 'error' }],
    audit: {
      actor: 'halo',
      action: 'halo.cycle.fail',
      subjectKind: 'halo-cycle',
      subjectId: cycleId,
      detail: { error },
    },
  });
}

function move(db: Db, cycleId: string, from: CycleState | CycleState[], to: CycleState, set: object) {
  return db
    .update(haloCycles)
    .set({ ...set, state: to })
    .where(and(eq(haloCycles.id, cycleId), inArray(haloCycles.state, [from].flat())))
    .returning()
    .getSQL();
}

function haloEvent(type: string, cycleId: string, payload: JsonObject): NewEvent {
  return {
    type,
    source: { type: 'halo', id: cycleId },
    payload: { cycleId, ...payload },
    correlationId: cycleId,
  };
}
