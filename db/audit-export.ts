import type { AuditEntry } from '../domain/audit.ts';
import type { Sql } from './client.ts';

export type ExportBounds = {
  installation: string | null;
  at: string;
  head: { chainNo: number; hash: string };
  /** The last entry there is; the head's own, unless somebody wrote around the trigger. */
  lastEntry: number;
  lastAnchor: number;
};

type Row = {
  installation: string | null;
  at: string;
  no: string;
  hash: string;
  entry: string;
  anchor: string;
};

/** Where an export begins and ends: one look, so that what is written meanwhile is not half in it. */
export async function exportBounds(log: Sql): Promise<ExportBounds> {
  const [row] = await log<Row[]>`
    select (select e.hash from audit_entries e where e.chain_no = 1) as installation,
           to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at,
           h.chain_no::text as no, h.hash,
           coalesce((select max(chain_no) from audit_entries), 0)::text as entry,
           coalesce((select max(chain_no) from audit_anchors), 0)::text as anchor
    from audit_head h`;
  if (row === undefined) throw new Error('the audit has no head');
  const { installation, at, hash } = row;
  return {
    ...{ installation, at, head: { chainNo: Number(row.no), hash } },
    ...{ lastEntry: Number(row.entry), lastAnchor: Number(row.anchor) },
  };
}

/** Entries in the order of the chain, behind a number and up to another. */
export async function listEntries(
  log: Sql,
  range: { after: number; upTo: number },
  limit: number,
): Promise<AuditEntry[]> {
  const rows = await log<(Omit<AuditEntry, 'chainNo'> & { chainNo: string })[]>`
    select chain_no::text as "chainNo", to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at,
           actor, action, subject_kind as "subjectKind", subject_id as "subjectId", outcome, op_key as "opKey",
           body, result, prev_hash as "prevHash", hash
    from audit_entries where chain_no > ${range.after} and chain_no <= ${range.upTo}
    order by audit_entries.chain_no limit ${limit}`;
  return rows.map((row) => ({ ...row, chainNo: Number(row.chainNo) }));
}
