import type { MiddlewareHandler } from 'hono';
import { touchKey } from '../db/keys.ts';
import { actorOf, findKey, findPrincipalBySubject } from '../db/principals.ts';
import { type Permission, type Principal, requirePermission } from '../domain/access.ts';
import { parseKey } from '../domain/key.ts';
import { defaultMaxBytes, readBody } from './body.ts';
import type { Chain } from './chain.ts';
import type { ApiDeps, ApiEnv } from './context.ts';
import { createKeyLookup } from './key-lookup.ts';
import { isSecretOf } from './keys.ts';
import { looksLikeToken, type Oidc } from './oidc.ts';
import { describeError, ProblemError, throwRefusal } from './problems.ts';

/** Puts the principal of the presented key or login on the request; without a valid one the request ends here. */
export function authenticate(deps: ApiDeps, chain: Chain): MiddlewareHandler<ApiEnv> {
  const find = createKeyLookup((id) => findKey(deps.database.db, id));
  return async (c, next) => {
    chain.quota.countEarly(c, chain.operationOf(c));
    const { principal, keyId, loginAtMs } = await identify(deps, c.req.header('authorization'), find);
    c.set('principal', principal);
    c.set('keyId', keyId);
    c.set('loginAtMs', loginAtMs);
    await next();
  };
}

type Identity = { principal: Principal; keyId: string | null; loginAtMs: number | null };

/** Whose key or login a request shows; throws where it shows none that counts. */
export async function identify(
  deps: ApiDeps,
  header: string | undefined,
  find = (id: string) => findKey(deps.database.db, id),
): Promise<Identity> {
  const text = /^Bearer +(\S+) *$/i.exec(header ?? '')?.[1];
  if (text === undefined) throw unauthenticated('Send a key: `Authorization: Bearer dn_...`.');
  if (deps.oidc !== null && looksLikeToken(text)) return identifyLogin(deps, deps.oidc, text);
  const key = parseKey(text);
  if (key === null) throw unauthenticated('This is not a whole key; its checksum does not fit.');
  if (key.environment !== deps.keyEnvironment)
    throw unauthenticated(`This is a key for "${key.environment}"; here it is "${deps.keyEnvironment}".`);
  const known = await find(key.id);
  if (!isSecretOf(deps.pepper, key.secret, known?.hash ?? null) || known === null)
    throw unauthenticated('This key is unknown here.');
  if (known.revoked) throw unauthenticated('This key was revoked.');
  if (known.expired) throw unauthenticated('This key has expired; ask an admin for a new one.');
  if (!known.active) throw unauthenticated(`${known.principal.name} is disabled.`);
  if (known.stale) noteUse(deps, key.id);
  return { principal: known.principal, keyId: key.id, loginAtMs: null };
}

/** Beside the request: nobody waits for it, and a failure of it fails nothing. */
function noteUse(deps: ApiDeps, keyId: string): void {
  touchKey(deps.database.db, keyId).catch((error: unknown) =>
    deps.log.warn({ err: describeError(error), keyId }, 'the use of a key was not noted'),
  );
}

async function identifyLogin(deps: ApiDeps, oidc: Oidc, token: string): Promise<Identity> {
  const { subject, loginAtMs } = await oidc.verify(token);
  const known = await findPrincipalBySubject(deps.database.db, subject);
  // Never created on the way in: what a login may do is what an admin linked it to.
  if (known?.kind !== 'human')
    throw unauthenticated(
      `This login is linked to nobody here; an admin links it: dreamnet principal set ID --oidc-subject '${subject}'.`,
    );
  if (known.status !== 'active') throw unauthenticated(`${known.name} is disabled.`);
  return { principal: actorOf(known), keyId: null, loginAtMs };
}

function unauthenticated(message: string): ProblemError {
  return new ProblemError('UNAUTHENTICATED', message);
}

/** One permission, any of several, or none but a valid key. */
export type Access = Permission | readonly [Permission, ...Permission[]] | 'authenticated';

function allow(access: Access): MiddlewareHandler<ApiEnv> {
  const permissions: readonly Permission[] =
    access === 'authenticated' ? [] : typeof access === 'string' ? [access] : access;
  return async (c, next) => {
    const refusals = permissions.map((permission) => requirePermission(c.get('principal'), permission));
    const [refusal = null] = refusals;
    if (refusal !== null && !refusals.includes(null)) throwRefusal(refusal);
    await next();
  };
}

type GuardOptions = { maxBytes?: number; secretAnswer?: boolean; takesLines?: boolean };

/**
 * What every route under /v1 spreads into its description: who may call it, and how large its body may be. The check
 * comes before the body is read; the document shows the permission, and a test compares it with a table.
 */
export function guard(access: Access, options: GuardOptions = {}) {
  const { maxBytes = defaultMaxBytes, secretAnswer = false, takesLines = false } = options;
  const middleware: [MiddlewareHandler<ApiEnv>, MiddlewareHandler<ApiEnv>] = [
    allow(access),
    readBody(maxBytes, takesLines),
  ];
  return {
    middleware,
    security: [{ key: [] }],
    'x-permission': typeof access === 'string' ? access : access.join(' or '),
    'x-max-bytes': maxBytes,
    // An answer with a secret is kept for nobody: a repetition with the same Idempotency-Key is told so.
    ...(secretAnswer ? { 'x-secret-answer': true } : {}),
    ...(takesLines ? { 'x-takes-lines': true } : {}),
  };
}
