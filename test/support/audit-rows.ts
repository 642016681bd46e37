import type { TestApi } from './api.ts';
import { auditPair } from './api.ts';
import { checkExport, type Checked, type CheckOptions } from '../../cli/audit-check.ts';
import { exportLines } from '../../cli/audit-lines.ts';
import type { TestDatabase } from './database.ts';

/** Rows written by one statement as the application; the trigger numbers and chains them. */
export async function writeRows(database: TestDatabase, count: number, from = 1): Promise<void> {
  await database.log`
    insert into audit_entries (op_key, actor, action, subject_kind, subject_id, outcome, body, result)
    select 'row:' || n, 'prn_test', 'key.issue', 'key', 'key_' || n, 'ok',
           jsonb_build_object('opKey', 'row:' || n, 'actor', 'prn_test', 'action', 'key.issue', 'subjectKind', 'key',
                              'subjectId', 'key_' || n, 'outcome', 'ok',
                              'detail', jsonb_build_object('label', 'row ' || n))::text,
           jsonb_build_object('id', 'key_' || n)::text
    from generate_series(${from}::int, ${from + count - 1}::int) as n`;
}

export const publicPem = auditPair.publicKey.export({ type: 'spki', format: 'pem' }).toString();

/** Verifies the audit as `dreamnet audit verify` does, from what the API exports now. */
export async function verifyAudit(
  api: TestApi,
  as: string,
  given: Partial<CheckOptions> = {},
): Promise<Checked> {
  const { status, body } = await api.call('GET', '/v1/audit/export', { as });
  if (status !== 200) throw new Error(`the export was answered ${status}`);
  return checkExport(exportLines(bytesOf(body as string)), {
    publicKeys: [publicPem],
    heads: new Map(),
    isOutsideOlder: true,
    progress: () => undefined,
    ...given,
  });
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array, undefined, undefined> {
  yield await Promise.resolve(new TextEncoder().encode(text));
}
