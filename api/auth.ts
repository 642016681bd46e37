import type { MiddlewareHandler } from 'hono';
import { findKey } from '../db/principals.ts';
import { type Permission, type Principal, requirePermission } from '../domain/access.ts';
import { parseKey } from '../domain/key.ts';
import { readBody } from './body.ts';
import type { ApiDeps, ApiEnv } from './context.ts';
import { isSecretOf } from './keys.ts';
import { ProblemError, throwRefusal } from './problems.ts';

/** Puts the principal of the presented key on the request; without a valid key the request ends here. */
export function authenticate(deps: ApiDeps): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const { principal, keyId } = await identify(deps, c.req.header('authorization'));
    c.set('principal', principal);
    c.set('keyId', keyId);
    await next();
  };
}

async function identify(
  deps: ApiDeps,
  header: string | undefined,
): Promise<{ principal: Principal; keyId: string }> {
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
  return { principal: known.principal, keyId: key.id };
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
export function guard(access: Access, options: { maxBytes?: number } = {}) {
  const middleware: MiddlewareHandler<ApiEnv>[] = [allow(access), readBody(options.maxBytes)];
  return { middleware, security: [{ key: [] }], 'x-permission': access };
}
