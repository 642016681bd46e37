import type { MiddlewareHandler } from 'hono';
import { randomPart } from '../../db/ids.ts';
import { parseTrace, type Trace } from '../../domain/trace.ts';
import type { ApiEnv } from '../context.ts';

/** A trace of our own: every request has one from its first step on, so that any refusal can name it (K28). */
export function newTrace(): Trace {
  const hex = (size: number): string => Buffer.from(randomPart(size)).toString('hex');
  return { traceId: hex(16), spanId: hex(8), flags: '00', state: null };
}

/** Makes the request a part of the trace that its caller is in. */
export function joinTrace(): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const given = parseTrace(c.req.header('traceparent'), c.req.header('tracestate'));
    if (given !== null) c.set('trace', { ...given, spanId: c.get('trace').spanId });
    await next();
  };
}
