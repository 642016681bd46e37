import type { MiddlewareHandler } from 'hono';
import { readBytes } from './body-bytes.ts';
import type { ApiContext, ApiEnv } from './context.ts';
import { decodeText, parseJson } from './json-text.ts';
import { ProblemError } from './problems.ts';

export const defaultMaxBytes = 512 * 1024;
/** A batch of events may be larger than any other request. */
export const maxBatchBytes = 4 * 1024 * 1024;

/** Reads the body itself, so that the limit holds whatever the length header says and for chunked bodies too. */
export function readBody(maxBytes = defaultMaxBytes): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    await loadBody(c, maxBytes);
    return next();
  };
}

/** Reads the body where that has not happened yet. */
export async function loadBody(c: ApiContext, maxBytes: number): Promise<void> {
  if (c.req.method === 'GET' || c.req.method === 'HEAD') return;
  if (c.req.bodyCache.arrayBuffer !== undefined) return;
  const bytes = await readBytes(c, maxBytes);
  // The stream is used up, so whoever looks at the body after this finds it here.
  c.req.bodyCache.arrayBuffer = bytes.buffer;
  if (bytes.byteLength > 0) {
    requireJsonType(c);
    const value = parseJson(decodeText(bytes));
    c.req.json = <T>() => Promise.resolve(value as T);
  } else {
    c.req.json = <T>() => Promise.resolve({} as T);
  }
}

function requireJsonType(c: ApiContext): void {
  const type = (c.req.header('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/json')
    throw new ProblemError(
      'UNSUPPORTED_MEDIA_TYPE',
      'Send the body as application/json, and say so in Content-Type.',
    );
}
