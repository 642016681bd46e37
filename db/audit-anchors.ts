import type { AuditAnchor, ChainHead } from '../domain/audit.ts';
import { categoryOf, defaultPriority, eventTypes } from '../domain/events.ts';
import type { Sql } from './client.ts';
import { derivedId } from './ids.ts';

export type HeadNow = {
  head: ChainHead;
  /** By the database's clock, in UTC with milliseconds. */
  at: string;
  /** The number of the last signed head, 0 when there is none. */
  anchored: number;
};

/** The end of the chain as it is now, and how far it is signed; null while the audit is empty. */
export async function readHead(log: Sql): Promise<HeadNow | null> {
  const [row] = await log<
    { no: string; hash: string; installation: string | null; at: string; last: string }[]
  >`
    select h.chain_no::text as no, h.hash,
           coalesce((select a.installation from audit_anchors a order by a.chain_no limit 1),
                    (select e.hash from audit_entries e where e.chain_no = 1)) as installation,
           to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at,
           coalesce((select max(chain_no) from audit_anchors), 0)::text as last
    from audit_head h`;
  if (row === undefined || row.installation === null) return null;
  const { hash, installation, at } = row;
  return { head: { chainNo: Number(row.no), hash, installation }, at, anchored: Number(row.last) };
}

/**
 * Keeps a signed head with its event; false when another worker signed this one first. It writes no audit entry: the
 * chain would grow with each head of it.
 */
export async function storeAnchor(log: Sql, anchor: AuditAnchor): Promise<boolean> {
  const { chainNo, hash, installation, at, keyId, signature } = anchor;
  const type = eventTypes.auditAnchored;
  const id = derivedId('evt', `audit.anchor:${installation}:${chainNo}`);
  const payload = JSON.stringify({ chainNo, hash, keyId });
  const rows = await log`
    with kept as (
      insert into audit_anchors (chain_no, hash, installation, at, key_id, signature)
      values (${chainNo}, ${hash}, ${installation}, ${at}::text::timestamptz, ${keyId}, ${signature})
      on conflict do nothing returning chain_no
    ),
    keyed as (insert into event_keys (id) select ${id} from kept on conflict do nothing returning id),
    logged as (
      insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata, occurred_at)
      select keyed.id, ${type}, ${categoryOf(type)}, 'system', 'audit', 'info', ${defaultPriority('info')},
             ${payload}::text::jsonb, '{}'::jsonb, now()
      from keyed
    )
    select chain_no from kept`;
  return rows.length > 0;
}

/** Signed heads in the order of the chain, behind a number and up to another. */
export async function listAnchors(
  log: Sql,
  range: { after: number; upTo: number },
  limit: number,
): Promise<AuditAnchor[]> {
  const rows = await log<(Omit<AuditAnchor, 'chainNo'> & { chainNo: string })[]>`
    select chain_no::text as "chainNo", hash, installation, key_id as "keyId", signature,
           to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at
    from audit_anchors where chain_no > ${range.after} and chain_no <= ${range.upTo}
    order by audit_anchors.chain_no limit ${limit}`;
  return rows.map((row) => ({ ...row, chainNo: Number(row.chainNo) }));
}
