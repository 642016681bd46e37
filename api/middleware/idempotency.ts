import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MiddlewareHandler } from 'hono';
import { newId } from '../../db/ids.ts';
import {
  claimKey,
  dropClaim,
  type Earlier,
  findKeyUse,
  type IdempotentRequest,
  storeAnswer,
} from '../../db/idempotency.ts';
import { requirePermission } from '../../domain/access.ts';
import { canonical, type Json } from '../../domain/json.ts';
import { refuse } from '../../domain/refusal.ts';
import { loadBody } from '../body.ts';
import type { Chain } from '../chain.ts';
import type { ApiContext, ApiDeps, ApiEnv } from '../context.ts';
import type { OperationFacts } from '../operations.ts';
import { describeError, ProblemError, throwRefusal } from '../problems.ts';

/*
 * A request with an Idempotency-Key is carried out once; whoever sends it again gets the answer of the first time. The
 * key is claimed before anything is done; only who claimed it goes on. Others wait a moment for the answer. An answer is
 * kept when the request was let in and was not a fault of ours; else the claim is dropped, and the next try is the first.
 */
const keepMs = 24 * 3_600_000;
/** Longer than any request takes; who died holding a claim holds it no longer. */
const lockMs = 60_000;
const waitMs = 3_000;
const pauseMs = 50;

const keyShape = /^[\x21-\x7e]{1,200}$/;
const keptHeaders = ['content-type', 'location'];
/** Above this size the text counts as it was sent: sorting the members of a large batch costs more than it tells. */
const maxCanonicalBytes = 64 * 1024;

export function idempotent(deps: ApiDeps, chain: Chain): MiddlewareHandler<ApiEnv> {
  const { db } = deps.database;

  /** The answer of the first time; null when it may be carried out now. */
  async function claimOrFind(request: IdempotentRequest, claim: string): Promise<Earlier | null> {
    const giveUpAt = deps.now() + waitMs;
    for (;;) {
      if (await claimKey(db, request, { claim, lockMs, keepMs })) return null;
      const earlier = await findKeyUse(db, request);
      if (earlier !== null && (earlier.hash !== request.hash || earlier.state === 'done')) return earlier;
      if (deps.now() >= giveUpAt && earlier !== null) return earlier;
      await sleep(pauseMs);
    }
  }

  return async (c, next) => {
    const key = c.req.header('idempotency-key');
    const operation = chain.operationOf(c);
    if (key === undefined || operation === null || !['POST', 'PUT', 'PATCH'].includes(c.req.method))
      return next();
    if (!keyShape.test(key))
      throwRefusal(refuse('INVALID', 'Idempotency-Key: 1 to 200 printable characters without spaces.'));
    // Who may not call this learns that from the route, without sending a body.
    if (!isAllowed(c, operation)) return next();
    await loadBody(c, operation);
    const principalId = c.get('principal').id;
    const request = { principalId, route: operation.name, key, hash: await hashOf(c) };
    const claim = newId('clm');
    const earlier = await claimOrFind(request, claim);
    if (earlier !== null) return replay(c, request, earlier);
    await next();
    await finish(c, request, claim, operation);
  };

  async function finish(
    c: ApiContext,
    request: IdempotentRequest,
    claim: string,
    operation: OperationFacts,
  ): Promise<void> {
    const { status } = c.res;
    try {
      const wasCarriedOut = c.get('isAdmitted') === true && status < 500;
      if (!wasCarriedOut) return await dropClaim(db, request, claim);
      const isSecret = operation.secretAnswer && status < 400;
      const headers = keptHeaders.flatMap((name) => {
        const value = c.res.headers.get(name);
        return value === null ? [] : [[name, value]];
      });
      const body = isSecret ? null : await c.res.clone().text();
      await storeAnswer(db, request, claim, {
        status,
        headers: Object.fromEntries(headers) as Record<string, string>,
        body,
      });
    } catch (error) {
      // The request itself went well. Until the claim is over a repetition is told that it still runs.
      deps.log.warn({ err: describeError(error), route: request.route }, 'an answer could not be kept');
    }
  }
}

function isAllowed(c: ApiContext, { access }: OperationFacts): boolean {
  if (access === 'public' || access === 'authenticated') return true;
  return requirePermission(c.get('principal'), access) === null;
}

async function hashOf(c: ApiContext): Promise<string> {
  const bytes = new Uint8Array(await c.req.arrayBuffer());
  const hash = createHash('sha256').update(`${c.req.method}\n${new URL(c.req.url).pathname}\n`);
  hash.update(`${new URL(c.req.url).search}\n`);
  if (bytes.byteLength > maxCanonicalBytes || bytes.byteLength === 0) hash.update(bytes);
  else hash.update(canonical(await c.req.json<Json>()));
  return hash.digest('hex');
}

function replay(c: ApiContext, request: IdempotentRequest, earlier: Earlier): Response {
  if (earlier.hash !== request.hash)
    throw new ProblemError(
      'CONFLICT',
      'This Idempotency-Key was used for another request; use a new key for a new request.',
    );
  const { answer } = earlier;
  if (earlier.state === 'running' || answer === null) {
    c.header('Retry-After', '1');
    throw new ProblemError('CONFLICT', 'A request with this Idempotency-Key is still running; ask again.', {
      details: { stillRunning: true, lockedForMs: Math.round(earlier.lockedMs) },
    });
  }
  if (answer.body === null)
    throw new ProblemError(
      'CONFLICT',
      'This request was carried out, and its answer held a secret that was shown once and is stored nowhere. If the secret was lost, make a new one.',
      { details: { status: answer.status } },
    );
  for (const [name, value] of Object.entries(answer.headers)) c.header(name, value);
  c.header('Idempotency-Replayed', 'true');
  // An answer that may have no body takes none, not even an empty one.
  return c.newResponse(answer.body === '' ? null : answer.body, answer.status as 200);
}
