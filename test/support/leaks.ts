import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import postgres from 'postgres';
import type { TestStack } from './stack.ts';

export type Written = { where: string; text: string };

/** All that a running stack has written: every row of every table, every history raw and decoded, every log. */
export async function everythingWritten(stack: TestStack): Promise<Written[]> {
  const written: Written[] = [];
  const sql = postgres(stack.migrateUrl, { max: 1, onnotice: () => undefined });
  const tables = await sql<{ name: string }[]>`
    select tablename as name from pg_tables where schemaname = 'public'`;
  for (const { name } of tables) {
    const rows = await sql<{ text: string }[]>`select t::text as text from ${sql(name)} t`;
    written.push({ where: `table ${name}`, text: rows.map(({ text }) => text).join('\n') });
  }
  await sql.end();
  for await (const { workflowId, runId } of stack.client.workflow.list()) {
    const history = await stack.client.workflow.getHandle(workflowId, runId).fetchHistory();
    const json = historyToJSON(history);
    written.push({ where: `history ${workflowId}`, text: json + decoded(json) });
  }
  for (const name of readdirSync(stack.logs).filter((each) => each.endsWith('.log')))
    written.push({ where: `log ${name}`, text: readFileSync(join(stack.logs, name), 'utf8') });
  return written;
}

/** The payloads of a history, which are base64 in its JSON. */
function decoded(json: string): string {
  return [...json.matchAll(/"data":\s*"([^"]+)"/g)]
    .map((match) => Buffer.from(match[1] ?? '', 'base64').toString())
    .join('\n');
}

/** A secret as it could be found: plain, base64 (both alphabets), hex, as part of a URL, inside JSON. */
export function encodingsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
  ];
}
