import type { MiddlewareHandler } from 'hono';
import { findKey } from '../db/principals.ts';
import { type Permission, type Principal, requirePermission } from '../domain/access.ts';
import { parseKey } from '../domain/key.ts';
import { defaultMaxBytes, readBody } from './body.ts';
import type { Chain } from './chain.ts';
import type { ApiDeps, ApiEnv } from './context.ts';
import { isSecretOf } from './keys.ts';
import { ProblemError, throwRefusal } from './problems.ts';

/** Puts the principal of the presented key on the request; without a valid key the request ends here. */
export function authenticate(deps: ApiDeps, chain: Chain): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    chain.quota.countEarly(c, chain.operationOf(c));
    c.set('principal', await identify(deps, c.req.header('authorization')));
    await next();
  };
}

async function identify(deps: ApiDeps, header: string | undefined): Promise<Principal> {
  const text = /^Bearer +(\S+) *$/i.exec(header ?? '')?.[1];
  if (text === undefined) throw unauthenticated('Send a key: `Authorization: Bearer dn_...`.');
  const key = parseKey(text);
  if (key === null) throw unauthenticated('This is not a whole key; its checksum does not fit.');
  const known = await findKey(deps.database.db, key.id);
  if (!isSecretOf(deps.pepper, key.secret, known?.hash ?? null) || known === null)
    throw unauthenticated('This key is unknown here.');
  if (known.revoked) throw unauthenticated('This key was revoked.');
  if (known.expired) throw unauthenticated('This key has expired; ask an admin for a new one.');
  if (!known.active) throw unauthenticated(`${known.principal.name} is disabled.`);
  return known.principal;
}

function unauthenticated(message: string): ProblemError {
  return new ProblemError('UNAUTHENTICATED', message);
}

export type Access = Permission | 'authenticated';

function allow(access: Access): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const refusal = access === 'authenticated' ? null : requirePermission(c.get('principal'), access);
    if (refusal !== null) throwRefusal(refusal);
    await next();
  };
}

/**
 * What every route under /v1 spreads into its description: who may call it, and how large its body may be. The check
 * comes before the body is read; the document shows the permission, and a test compares it with a table.
 */
export function guard(access: Access, options: { maxBytes?: number; secretAnswer?: boolean } = {}) {
  const { maxBytes = defaultMaxBytes, secretAnswer = false } = options;
  const middleware: MiddlewareHandler<ApiEnv>[] = [allow(access), readBody(maxBytes)];
  return {
    middleware,
    security: [{ key: [] }],
    'x-permission': access,
    'x-max-bytes': maxBytes,
    // An answer with a secret is kept for nobody: a repetition with the same Idempotency-Key is told so.
    ...(secretAnswer ? { 'x-secret-answer': true } : {}),
  };
}
