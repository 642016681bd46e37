import type { MiddlewareHandler } from 'hono';
import type { ApiContext, ApiEnv } from './context.ts';
import { ProblemError } from './problems.ts';

export const defaultMaxBytes = 512 * 1024;
/** A batch of events may be larger than any other request. */
export const maxBatchBytes = 4 * 1024 * 1024;

const maxDepth = 64;
const maxValues = 200_000;

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
    const value = parse(bytes);
    c.req.json = <T>() => Promise.resolve(value as T);
  } else {
    c.req.json = <T>() => Promise.resolve({} as T);
  }
}

async function readBytes(c: ApiContext, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const announced = Number(c.req.header('content-length') ?? '0');
  if (announced > maxBytes) throw tooLarge(maxBytes);
  const body = c.req.raw.body as AsyncIterable<Uint8Array> | null;
  if (body === null) return new Uint8Array();
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const part of body) {
      size += part.byteLength;
      if (size > maxBytes) throw tooLarge(maxBytes);
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    throw new ProblemError('INVALID', 'The body ended before it was complete.', { cause: error });
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

function tooLarge(maxBytes: number): ProblemError {
  return new ProblemError('PAYLOAD_TOO_LARGE', `The body may have at most ${maxBytes} bytes.`, {
    details: { maxBytes },
  });
}

function requireJsonType(c: ApiContext): void {
  const type = (c.req.header('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/json')
    throw new ProblemError(
      'UNSUPPORTED_MEDIA_TYPE',
      'Send the body as application/json, and say so in Content-Type.',
    );
}

function parse(bytes: Uint8Array): unknown {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new ProblemError('INVALID', 'The body is not valid JSON in UTF-8.');
  }
  requireStorable(value);
  return value;
}

/** Postgres stores neither NUL nor half a surrogate pair, and no reader of this system needs a deeper nesting. */
function requireStorable(root: unknown): void {
  let values = 0;
  const visit = (value: unknown, depth: number): void => {
    values += 1;
    if (values > maxValues) throw new ProblemError('INVALID', `The body has more than ${maxValues} values.`);
    if (depth > maxDepth)
      throw new ProblemError('INVALID', `The body is nested deeper than ${maxDepth} levels.`);
    if (typeof value === 'string') requireText(value);
    else if (typeof value === 'number') requireNumber(value);
    else if (Array.isArray(value)) for (const member of value) visit(member, depth + 1);
    else if (typeof value === 'object' && value !== null)
      for (const [key, member] of Object.entries(value)) {
        requireText(key);
        visit(member, depth + 1);
      }
  };
  visit(root, 0);
}

function requireText(text: string): void {
  if (text.includes('\0') || !text.isWellFormed())
    throw new ProblemError('INVALID', 'The body has a text with a NUL or half a surrogate pair.');
}

function requireNumber(value: number): void {
  if (!Number.isFinite(value)) throw new ProblemError('INVALID', 'The body has a number that is too large.');
}
