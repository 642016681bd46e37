import { z } from '@hono/zod-openapi';
import { principalNames } from '../db/access.ts';
import type { ApprovalRow } from '../db/approvals.ts';
import { type InboxFacts, inboxFacts } from '../db/inbox.ts';
import { pastResults } from '../db/past-results.ts';
import { decisions } from '../domain/approval.ts';
import { risks } from '../domain/task.ts';
import { approvalSchema, approvalView } from './approval-view.ts';
import type { ApiDeps } from './context.ts';
import type { Judge } from './inbox-judge.ts';
import { instant } from './schemas.ts';

const verdictCounts = z.object({ helped: z.number().int(), didNotHelp: z.number().int() });
const results = z.object({
  succeeded: z.number(),
  failed: z.number(),
  unknown: z.number(),
  rejected: z.number(),
  lastRunAt: instant.nullable(),
});

/** An approval with what a person needs to judge it at a glance. */
export const inboxItem = approvalSchema
  .extend({
    allowedActions: z.array(z.enum(decisions)),
    whyNot: z.string().nullable(),
    expiresInSeconds: z.number(),
    touches: z.object({
      target: z.string(),
      type: z.string(),
      agent: z.object({ id: z.string(), name: z.string().nullable() }).nullable(),
      payload: z.string(),
    }),
    reversible: z.boolean(),
    blastRadius: z.number(),
    evidenceCount: z.number(),
    groupSize: z.number(),
    riskProposedLater: z.enum(risks).nullable(),
    pastResults: z.object({
      here: results,
      anywhere: results,
      verdicts: z.object({ here: verdictCounts, anywhere: verdictCounts }),
    }),
  })
  .openapi('InboxItem');
export type InboxItem = z.infer<typeof inboxItem>;

const shortPayload = 200;

/** The beginning of a payload, and a mark where something was left out. */
function shorten(payload: unknown): string {
  const text = JSON.stringify(payload ?? {});
  if (text.length <= shortPayload) return text;
  const kept = text.slice(0, shortPayload).toWellFormed();
  return `${kept}… (${text.length - shortPayload} more characters)`;
}

function touches(row: ApprovalRow, facts: InboxFacts | undefined): InboxItem['touches'] {
  const { target, type, payload } = row.summary;
  return {
    target: row.target !== '' ? row.target : typeof target === 'string' ? target : '',
    type: row.type !== '' ? row.type : typeof type === 'string' ? type : '',
    agent: facts?.agent ?? null,
    payload: shorten(payload),
  };
}

/** Approvals as one caller sees them. */
export async function showInbox(
  deps: ApiDeps,
  rows: ApprovalRow[],
  { nowMs, judge }: Judge,
): Promise<InboxItem[]> {
  const { db } = deps.database;
  const [names, facts, past] = await Promise.all([
    principalNames(
      db,
      rows.map((row) => row.requestedBy),
    ),
    inboxFacts(db, rows),
    pastResults(db, rows),
  ]);
  return rows.map((row) => {
    const known = facts.get(row.subjectId);
    const touched = touches(row, known);
    return {
      ...approvalView(deps, row, { nowMs, names }),
      ...judge(row),
      expiresInSeconds: Math.floor((row.expiresAt.getTime() - nowMs) / 1000),
      touches: touched,
      reversible: known?.reversible ?? row.summary.reversible === 'declared',
      blastRadius: known?.blastRadius ?? 0,
      evidenceCount: known?.evidenceCount ?? 0,
      groupSize: known?.groupSize ?? 1,
      riskProposedLater: known?.riskProposedLater ?? null,
      pastResults: past({ type: row.type, target: row.target }),
    };
  });
}

const shownSummaryBytes = 4096;

/** A page of large contents would be larger than anybody reads; what is left out says so. */
export function shortenSummary(item: InboxItem): InboxItem {
  const bytes = Buffer.byteLength(JSON.stringify(item.summary.payload ?? null));
  if (bytes <= shownSummaryBytes) return item;
  const payload = { omitted: `${bytes} bytes; read GET /v1/approvals/${item.id}` };
  return { ...item, summary: { ...item.summary, payload } };
}
