import type { MiddlewareHandler } from 'hono';
import type { ApiEnv } from '../context.ts';

/** Paths of content that search engines may list; there is none yet, all the rest is for people with a key (K29). */
const publicContent: readonly RegExp[] = [];

export function keepOutOfSearch(): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    if (!publicContent.some((path) => path.test(c.req.path))) c.header('X-Robots-Tag', 'noindex');
    await next();
  };
}
