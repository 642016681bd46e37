import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { JsonObject } from '../domain/json.ts';
import { DomainError, type Refusal, type RefusalCode } from '../domain/refusal.ts';

const refusalStatus = {
  INVALID: 400,
  NOT_FOUND: 404,
  FORBIDDEN: 403,
  CONFLICT: 409,
  STALE: 412,
  EXPIRED: 410,
  LIMIT: 429,
} as const satisfies Record<RefusalCode, ContentfulStatusCode>;

const transportStatus = {
  UNAUTHENTICATED: 401,
  METHOD_NOT_ALLOWED: 405,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  INTERNAL: 500,
  UNAVAILABLE: 503,
} as const;

const statusByCode = { ...refusalStatus, ...transportStatus };
export type ProblemCode = keyof typeof statusByCode;
export const problemCodes = Object.keys(statusByCode) as ProblemCode[];

const titles: Record<ProblemCode, string> = {
  INVALID: 'The request is not valid',
  NOT_FOUND: 'Not found',
  FORBIDDEN: 'Not allowed',
  CONFLICT: 'In conflict with the current state',
  STALE: 'The content has changed',
  EXPIRED: 'Too late',
  LIMIT: 'A limit was reached',
  UNAUTHENTICATED: 'A valid key is needed',
  METHOD_NOT_ALLOWED: 'Method not allowed',
  PAYLOAD_TOO_LARGE: 'The body is too large',
  UNSUPPORTED_MEDIA_TYPE: 'Send application/json',
  INTERNAL: 'Internal error',
  UNAVAILABLE: 'Not available right now',
};

/** A refusal that only HTTP has: no key, too large, a server behind this one that does not answer. */
export class ProblemError extends Error {
  readonly code: ProblemCode;
  readonly details: JsonObject | undefined;

  constructor(code: ProblemCode, message: string, options: { details?: JsonObject; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'ProblemError';
    this.code = code;
    this.details = options.details;
  }
}

export type Problem = {
  type: string;
  title: string;
  status: ContentfulStatusCode;
  detail: string;
  code: ProblemCode;
  requestId: string;
  details?: JsonObject;
};

/** The one translation of errors into answers; what it does not know is a 500 that says nothing of its cause. */
export function toProblem(error: unknown, requestId: string): Problem {
  if (error instanceof DomainError || error instanceof ProblemError)
    return problem(error.code, error.message, requestId, error.details);
  if (error instanceof HTTPException) return problem(codeOf(error.status), error.message, requestId);
  const fault = databaseFault(error);
  if (fault !== null) return problem(fault.code, fault.message, requestId);
  return problem('INTERNAL', 'Something went wrong here; the request id leads to the log.', requestId);
}

function problem(code: ProblemCode, detail: string, requestId: string, details?: JsonObject): Problem {
  return {
    type: `urn:dreamnet:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title: titles[code],
    status: statusByCode[code],
    detail,
    code,
    requestId,
    ...(details === undefined ? {} : { details }),
  };
}

function codeOf(status: number): ProblemCode {
  const known = problemCodes.find((code) => statusByCode[code] === status);
  return known ?? (status >= 500 ? 'INTERNAL' : 'INVALID');
}

/** Turns a refusal that was returned into one that is thrown, for the translation above. */
export function throwRefusal(refusal: Refusal): never {
  throw new DomainError(refusal);
}

const connectionCodes = /^(?:CONNECT_TIMEOUT|CONNECTION_\w+|ECONN\w+|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT)$/;

function databaseFault(error: unknown): { code: ProblemCode; message: string } | null {
  const code = errorCode(error);
  if (code === null) return null;
  if (code === '53100') return unavailable('The database has no room left on its disk.');
  if (connectionCodes.test(code) || /^(?:08|53|57P0)/.test(code))
    return unavailable('The database does not answer.');
  if (code === '57014' || code === '55P03')
    return unavailable('The database took too long; try again in a moment.');
  // A value that passed every check above and that the database still cannot hold.
  if (/^22/.test(code)) return { code: 'INVALID', message: 'A value of the request cannot be stored.' };
  return null;
}

function unavailable(message: string): { code: ProblemCode; message: string } {
  return { code: 'UNAVAILABLE', message };
}

/** The code of a driver's error, also behind the wrapper that drizzle puts around it. */
export function errorCode(error: unknown): string | null {
  for (let each = error, depth = 0; each instanceof Error && depth < 5; each = each.cause, depth += 1)
    if ('code' in each && typeof each.code === 'string') return each.code;
  return null;
}

/** What a log may say of an error: drizzle's own message quotes the values of the statement, so its cause speaks. */
export function describeError(error: unknown): JsonObject {
  if (!(error instanceof Error)) return { message: 'something that is not an Error was thrown' };
  const inner = 'query' in error && error.cause instanceof Error ? error.cause : error;
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return {
    name: inner.name,
    message: inner.message.slice(0, 500),
    code: errorCode(error),
    stack: frames.slice(0, 12).join('\n'),
  };
}
