import { and, eq, inArray, sql, type SQL } from 'drizzle-orm';
import type { JsonObject } from '../domain/json.ts';
import { openTaskStates, type Risk, risks } from '../domain/task.ts';
import { describeFold, type Difference, isRiskier } from '../domain/task-fold.ts';
import { type AuditStatement, change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { eventKeys, tasks } from './schema/index.ts';
import type { TaskRow } from './tasks.ts';

/*
 * Proposals with one fingerprint fold into one open task: what comes later brings its evidence and opens no approval of
 * its own, so that the one decision answers the whole group (FEATURES 2.5). The content stays the first one's.
 */
const keptEvidence = 50;

type Fold = {
  opKey: string;
  where: SQL | undefined;
  evidence: string[];
  /** The risk that the later proposal gives. */
  risk: Risk | null;
  log: { level: 'info' | 'warning'; message: string } | null;
  also?: SQL[];
  audit: AuditStatement;
};

function rankOf(risk: SQL | typeof tasks.risk): SQL {
  return sql`array_position(${sql.param(`{${risks.join(',')}}`)}::text[], ${risk})`;
}

async function fold(db: Db, spec: Fold): Promise<ChangeOutcome<{ id: string }>> {
  const newest = JSON.stringify(spec.evidence);
  const { risk, log } = spec;
  return change(db, {
    opKey: spec.opKey,
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
        folded: sql`${tasks.folded} + 1`,
        ...(risk === null
          ? {}
          : {
              foldedRisk: sql`case when ${rankOf(sql`${risk}::text`)}
                                      > ${rankOf(sql`coalesce(${tasks.foldedRisk}, ${tasks.risk})`)}
                                   then ${risk}::text else ${tasks.foldedRisk} end`,
            }),
      })
      .where(spec.where)
      .returning()
      .getSQL(),
    also: [
      ...(spec.also ?? []),
      ...(log === null
        ? []
        : [
            sql`
              insert into task_logs (task_id, attempt, level, message)
              select changed.id, changed.attempt, ${log.level}, ${log.message} from changed`,
          ]),
    ],
    audit: spec.audit,
    result: sql`jsonb_build_object('id', changed.id)`,
  });
}

const isOpen = inArray(tasks.state, [...openTaskStates]);

/** Further findings of the same fix target join the open proposal instead of opening another. */
export async function attachEvidence(
  db: Db,
  input: { fingerprint: string; evidence: string[]; cycleId: string; risk?: Risk },
): Promise<ChangeOutcome<{ id: string }>> {
  const { fingerprint, evidence, cycleId, risk = null } = input;
  return fold(db, {
    ...{ opKey: `task.evidence:${cycleId}:${fingerprint}`, evidence, risk, log: null },
    where: and(eq(tasks.fingerprint, fingerprint), isOpen),
    audit: {
      actor: 'halo',
      action: 'task.evidence',
      subjectKind: 'halo-cycle',
      subjectId: cycleId,
      detail: { fingerprint },
    },
  });
}

/** The open task of a fix target. */
export async function findOpenTask(db: Db, fingerprint: string): Promise<TaskRow | null> {
  const [row] = await db
    .select()
    .from(tasks)
    .where(and(eq(tasks.fingerprint, fingerprint), isOpen));
  return row ?? null;
}

export type FoldedProposal = {
  open: Pick<TaskRow, 'id' | 'risk'>;
  risk: Risk;
  evidence: string[];
  differs: Difference[];
  by: { id: string; name: string };
  requestDigest: string;
  opKey: string;
  /** Rows of whoever proposes, written with the fold or not at all. */
  also?: SQL[];
};

/** A person's or an agent's later proposal joins the open task; unchanged when that has ended in the meantime. */
export async function foldProposal(db: Db, input: FoldedProposal): Promise<ChangeOutcome<{ id: string }>> {
  const { open, risk, evidence, differs, by, requestDigest } = input;
  const message = describeFold(by.name, differs);
  const detail: JsonObject = { taskId: open.id, requestDigest, evidence, risk, differs };
  return fold(db, {
    ...{ opKey: input.opKey, evidence, risk, also: input.also ?? [] },
    log: message === null ? null : { level: isRiskier(open.risk, risk) ? 'warning' : 'info', message },
    where: and(eq(tasks.id, open.id), isOpen),
    audit: { actor: by.id, action: 'task.fold', subjectKind: 'task', subjectId: open.id, detail },
  });
}

/** Which of these ids the log never had. */
export async function unknownEvents(db: Db, ids: string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const rows = await db.select({ id: eventKeys.id }).from(eventKeys).where(inArray(eventKeys.id, ids));
  const known = new Set(rows.map(({ id }) => id));
  return ids.filter((id) => !known.has(id));
}
