import type { MiddlewareHandler } from 'hono';
import type { ApiEnv } from '../context.ts';

const allowedHeaders =
  'Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Request-Id, traceparent, tracestate';
const exposedHeaders =
  'X-Request-Id, traceparent, Retry-After, Idempotency-Replayed, RateLimit-Policy, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset';

/**
 * Lets pages of the listed origins read answers; without a list no answer says anything about origins. Never with
 * credentials: a key travels in the Authorization header, which a page has to set itself.
 */
export function cors(origins: readonly string[]): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    if (origins.length === 0) return next();
    c.header('Vary', 'Origin', { append: true });
    const origin = c.req.header('origin');
    if (origin === undefined || !origins.includes(origin)) return next();
    c.header('Access-Control-Allow-Origin', origin);
    if (c.req.method === 'OPTIONS' && c.req.header('access-control-request-method') !== undefined) {
      c.header('Access-Control-Allow-Methods', 'GET, HEAD, POST, PUT, PATCH, DELETE');
      c.header('Access-Control-Allow-Headers', allowedHeaders);
      c.header('Access-Control-Max-Age', '600');
      return c.body(null, 204);
    }
    c.header('Access-Control-Expose-Headers', exposedHeaders);
    return next();
  };
}
