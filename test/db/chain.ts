import { createHash } from 'node:crypto';
import type postgres from 'postgres';

type Entry = {
  chainNo: string;
  at: string;
  body: string;
  result: string;
  prevHash: string;
  hash: string;
};
export type Head = { chainNo: string; hash: string };

export async function chainHead(sql: postgres.Sql): Promise<Head> {
  const [head] = await sql<Head[]>`select chain_no::text as "chainNo", hash from audit_head`;
  if (head === undefined) throw new Error('the audit has no head');
  return head;
}

/** Hashes the audit again from its first entry on; answers what is wrong with it, or null. */
export async function faultInChain(sql: postgres.Sql, head?: Head): Promise<string | null> {
  const entries = await sql<Entry[]>`
    select chain_no::text as "chainNo", to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at,
           body, result, prev_hash as "prevHash", hash
    from audit_entries order by chain_no`;
  let last: Head = { chainNo: '0', hash: '0'.repeat(64) };
  for (const entry of entries) {
    const { chainNo, at, body, result, prevHash } = entry;
    if (Number(chainNo) !== Number(last.chainNo) + 1) return `a gap before ${chainNo}`;
    if (prevHash !== last.hash) return `entry ${chainNo} does not follow the one before it`;
    const text = [prevHash, chainNo, at, body, result].join('\n');
    if (createHash('sha256').update(text).digest('hex') !== entry.hash) return `entry ${chainNo} was altered`;
    last = { chainNo, hash: entry.hash };
  }
  const known = head ?? (await chainHead(sql));
  return known.chainNo === last.chainNo && known.hash === last.hash ? null : 'the end is missing';
}
