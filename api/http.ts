import { performance } from 'node:perf_hooks';
import type { ErrorHandler, MiddlewareHandler, NotFoundHandler } from 'hono';
import { newId } from '../db/ids.ts';
import type { Principal } from '../domain/access.ts';
import { formatTrace } from '../domain/trace.ts';
import type { Chain } from './chain.ts';
import type { ApiContext, ApiDeps, ApiEnv } from './context.ts';
import { type ApiDocument, methods } from './document.ts';
import { newTrace } from './middleware/trace.ts';
import { describeError, ProblemError, toProblem } from './problems.ts';

const saneId = /^[A-Za-z0-9_.:-]{8,100}$/;

const securityHeaders = Object.entries({
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
});

/** Gives every request an id, a trace and a line in the log, and every answer both and the security headers. */
export function envelope(
  deps: ApiDeps,
  { metrics, operationOf }: Pick<Chain, 'metrics' | 'operationOf'>,
): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const given = c.req.header('x-request-id') ?? '';
    const requestId = saneId.test(given) ? given : newId('req');
    c.set('requestId', requestId);
    c.set('trace', newTrace());
    const startedAt = performance.now();
    await next();
    // Not c.header: on an answer that is made already it makes a new one around it, for each header anew.
    const { headers } = c.res;
    headers.set('X-Request-Id', requestId);
    const trace = c.get('trace');
    headers.set('traceparent', formatTrace(trace));
    if (trace.state !== null) headers.set('tracestate', trace.state);
    for (const [name, value] of securityHeaders) headers.set(name, value);
    const ms = Math.round((performance.now() - startedAt) * 10) / 10;
    metrics.observe({ operation: operationOf(c)?.name ?? null, status: c.res.status, ms });
    count(deps, c);
    const principal = (c.get('principal') as Principal | undefined)?.id;
    const { method, path } = c.req;
    // Whatever watches the process asks every few seconds; its questions would drown the others.
    const level = ['/healthz', '/readyz', '/metrics'].includes(path) ? 'debug' : 'info';
    const { traceId } = trace;
    deps.log[level]({ requestId, traceId, method, path, status: c.res.status, ms, principal }, 'request');
  };
}

/**
 * What HALO counts: requests that were let in, so that a stranger cannot make it look, and answers that are our fault.
 * Calls that are about HALO would make it look at itself.
 */
function count({ haloCounts }: ApiDeps, c: ApiContext): void {
  const { path } = c.req;
  if (!path.startsWith('/v1/') || path === '/v1/halo' || path.startsWith('/v1/halo/')) return;
  if (c.get('isAdmitted') === true) haloCounts.add('requests');
  if (c.res.status >= 500) haloCounts.add('errors');
}

/** The translation of everything that was thrown; Hono's own exceptions keep their status. */
export function handleError(deps: ApiDeps): ErrorHandler<ApiEnv> {
  return (error, c) => answerProblem(deps, c, error);
}

async function answerProblem(deps: ApiDeps, c: ApiContext, error: unknown): Promise<Response> {
  const { traceId } = c.get('trace');
  const problem = { ...toProblem(error, c.get('requestId')), traceId };
  const { requestId, code } = problem;
  if (problem.status >= 500)
    deps.log.error({ requestId, traceId, code, err: describeError(error) }, 'failed');
  await deps.refusals.note(c, problem);
  if (problem.code === 'UNAUTHENTICATED') c.header('WWW-Authenticate', 'Bearer realm="dreamnet"');
  if (problem.status === 503) c.header('Retry-After', '2');
  c.header('X-Robots-Tag', 'noindex');
  return c.body(JSON.stringify(problem), problem.status, { 'Content-Type': 'application/problem+json' });
}

/** Tells an unknown path (404) from a known one that lacks the method (405). */
export function handleNotFound(deps: ApiDeps, document: () => ApiDocument): NotFoundHandler<ApiEnv> {
  return (c) => {
    const { path, method } = c.req;
    const item = Object.entries(document().paths).find(([template]) => matches(template, path))?.[1];
    if (item === undefined)
      return answerProblem(deps, c, new ProblemError('NOT_FOUND', `There is nothing at ${path}.`));
    const allowed = methods.filter((each) => item[each] !== undefined).map((each) => each.toUpperCase());
    if (allowed.includes('GET')) allowed.push('HEAD');
    c.header('Allow', allowed.join(', '));
    const message = `${method} is not possible here; allowed: ${allowed.join(', ')}.`;
    return answerProblem(deps, c, new ProblemError('METHOD_NOT_ALLOWED', message));
  };
}

function matches(template: string, path: string): boolean {
  const wanted = template.split('/');
  const given = path.split('/');
  return (
    wanted.length === given.length && wanted.every((part, at) => part.startsWith('{') || part === given[at])
  );
}
