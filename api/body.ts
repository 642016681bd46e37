import type { MiddlewareHandler } from 'hono';
import { maxBatch } from '../domain/events.ts';
import { readBytes } from './body-bytes.ts';
import type { ApiContext, ApiEnv } from './context.ts';
import { decodeText, parseJson, parseLines } from './json-text.ts';
import { ProblemError } from './problems.ts';

export const defaultMaxBytes = 512 * 1024;
/** A batch of events may be larger than any other request. */
export const maxBatchBytes = 4 * 1024 * 1024;

/** How large a body may be, and whether it may come as JSON lines. */
export type BodyLimits = { maxBytes: number; takesLines: boolean };

/** Reads the body itself, so that the limit holds whatever the length header says and for chunked bodies too. */
export function readBody(maxBytes = defaultMaxBytes, takesLines = false): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    await loadBody(c, { maxBytes, takesLines });
    return next();
  };
}

/** Reads the body where that has not happened yet. */
export async function loadBody(c: ApiContext, { maxBytes, takesLines }: BodyLimits): Promise<void> {
  if (c.req.method === 'GET' || c.req.method === 'HEAD') return;
  if (c.req.bodyCache.arrayBuffer !== undefined) return;
  const bytes = await readBytes(c, maxBytes);
  // The stream is used up, so whoever looks at the body after this finds it here.
  c.req.bodyCache.arrayBuffer = bytes.buffer;
  const value = bytes.byteLength === 0 ? {} : parse(c, bytes, takesLines);
  c.req.json = <T>() => Promise.resolve(value as T);
}

function parse(c: ApiContext, bytes: Uint8Array, takesLines: boolean): unknown {
  const type = (c.req.header('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type === 'application/json') return parseJson(decodeText(bytes));
  if (takesLines && type === 'application/x-ndjson') {
    const { values, lines } = parseLines(bytes, maxBatch);
    c.set('lines', lines);
    return values;
  }
  const kinds = takesLines ? 'application/json or application/x-ndjson' : 'application/json';
  throw new ProblemError('UNSUPPORTED_MEDIA_TYPE', `Send the body as ${kinds}, and say so in Content-Type.`);
}
