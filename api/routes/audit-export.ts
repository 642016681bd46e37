import { createRoute, z } from '@hono/zod-openapi';
import { exportBounds, listEntries } from '../../db/audit-export.ts';
import { listAnchors } from '../../db/audit-anchors.ts';
import type { Sql } from '../../db/client.ts';
import type { AuditAnchor, ExportLine } from '../../domain/audit.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { describeError } from '../problems.ts';
import { createRecheck } from '../recheck.ts';
import { lineAnswer } from '../schemas.ts';

const exported = createRoute({
  method: 'get',
  path: '/v1/audit/export',
  tags: ['access'],
  summary: 'The whole audit with its signed heads, for `dreamnet audit verify`: one JSON object on each line',
  ...guard('audit:read'),
  request: {
    query: z.strictObject({
      fromChainNo: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER).default(1),
    }),
  },
  responses: {
    200: lineAnswer(
      'A header, each entry in the order of the chain with each signed head behind the entry it names, and an end that counts both; an answer without the end is not whole.',
    ),
  },
});

const pageSize = 1_000;

/** Reads the next page only when the reader has taken the one before: memory stays the same however long the audit is. */
async function* exportLines(
  log: Sql,
  from: number,
  publicKeys: string[],
): AsyncGenerator<string, undefined, undefined> {
  const bounds = await exportBounds(log);
  const { installation, at: exportedAt, head } = bounds;
  const counted = { entries: 0, anchors: 0 };
  yield text({ kind: 'header', installation, exportedAt, fromChainNo: from, head, publicKeys });
  // Numbers below the first are none that the chain gives: who put one there is found with the rest.
  let after = from === 1 ? Number.MIN_SAFE_INTEGER : from - 1;
  let anchorsAfter = from - 1;
  while (after < bounds.lastEntry) {
    const entries = await listEntries(log, { after, upTo: bounds.lastEntry }, pageSize);
    const last = entries.at(-1)?.chainNo ?? bounds.lastEntry;
    const upTo = Math.min(last, bounds.lastAnchor);
    const anchors = await anchorsBetween(log, anchorsAfter, upTo);
    anchorsAfter = Math.max(anchorsAfter, upTo);
    let page = '';
    let next = 0;
    for (const entry of entries) {
      page += text({ kind: 'entry', ...entry });
      for (let anchor = anchors[next]; anchor !== undefined && anchor.chainNo <= entry.chainNo;) {
        page += text({ kind: 'anchor', ...anchor });
        anchor = anchors[(next += 1)];
      }
    }
    for (const anchor of anchors.slice(next)) page += text({ kind: 'anchor', ...anchor });
    counted.entries += entries.length;
    counted.anchors += anchors.length;
    after = last;
    yield page;
  }
  const beyond = await anchorsBetween(log, anchorsAfter, bounds.lastAnchor);
  counted.anchors += beyond.length;
  yield (
    beyond.map((anchor) => text({ kind: 'anchor', ...anchor })).join('') + text({ kind: 'end', ...counted })
  );
}

async function anchorsBetween(log: Sql, after: number, upTo: number): Promise<AuditAnchor[]> {
  if (upTo <= after) return [];
  const found = await listAnchors(log, { after, upTo }, pageSize);
  const last = found.at(-1);
  if (last === undefined || found.length < pageSize) return found;
  return [...found, ...(await anchorsBetween(log, last.chainNo, upTo))];
}

function text(line: ExportLine): string {
  return `${JSON.stringify(line)}\n`;
}

export function addAuditExportRoute(app: Api, deps: ApiDeps): void {
  app.openapi(exported, (c) => {
    const { fromChainNo } = c.req.valid('query');
    const lines = exportLines(deps.database.log, fromChainNo, deps.auditKeys);
    const stillAllowed = createRecheck(deps, c, 'audit:read');
    const encoder = new TextEncoder();
    const body = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          try {
            await stillAllowed();
            const { value, done } = await lines.next();
            if (done === true) controller.close();
            else controller.enqueue(encoder.encode(value));
          } catch (error) {
            // The status is out already; the reader sees a broken connection, or misses the end.
            deps.log.error(
              { requestId: c.get('requestId'), err: describeError(error) },
              'the export broke off',
            );
            controller.error(error);
          }
        },
        async cancel() {
          await lines.return(undefined);
        },
      },
      { highWaterMark: 1 },
    );
    return c.body(body, 200, { 'Content-Type': 'application/x-ndjson' });
  });
}
