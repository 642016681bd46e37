import { randomBytes } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { parseTrace, type Trace } from '../../domain/trace.ts';
import type { ApiEnv } from '../context.ts';

/** A trace of our own: every request has one from its first step on, so that any refusal can name it (K28). */
export function newTrace(): Trace {
  const traceId = randomBytes(16).toString('hex');
  return { traceId, spanId: randomBytes(8).toString('hex'), flags: '00', state: null };
}

/** Makes the request a part of the trace that its caller is in. */
export function joinTrace(): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const given = parseTrace(c.req.header('traceparent'), c.req.header('tracestate'));
    if (given !== null) c.set('trace', { ...given, spanId: c.get('trace').spanId });
    await next();
  };
}
