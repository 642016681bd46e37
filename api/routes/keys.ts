import { createRoute, z } from '@hono/zod-openapi';
import { getKey, type KeyRow, listKeys } from '../../db/access.ts';
import { newId } from '../../db/ids.ts';
import { rotateKey } from '../../db/keys.ts';
import { actorOf, type KnownPrincipal, revokeKey, storeKey } from '../../db/principals.ts';
import { refuse } from '../../domain/refusal.ts';
import { checkPermissionStrings, intersectPermissions } from '../../domain/scope.ts';
import { mayLookAfter, requireNoPart, requirePrincipal, requireToHold } from '../access-rules.ts';
import { guard } from '../auth.ts';
import type { Api, ApiContext, ApiDeps } from '../context.ts';
import { mintKey } from '../keys.ts';
import { throwRefusal } from '../problems.ts';
import { answer, body, idParams, instant, line, optionalBody } from '../schemas.ts';

const scopesSchema = z.array(z.string().max(250)).min(1).max(100);

const keySchema = z
  .object({
    id: z.string(),
    principalId: z.string(),
    label: z.string(),
    scopes: z.array(z.string()).nullable(),
    issuedBy: z.string().nullable(),
    rotatedFrom: z.string().nullable(),
    expiresAt: instant.nullable(),
    revokedAt: instant.nullable(),
    lastUsedAt: instant.nullable(),
    createdAt: instant,
  })
  .openapi('Key');

function keyView(row: KeyRow): z.infer<typeof keySchema> {
  return {
    ...row,
    expiresAt: row.expiresAt?.toISOString() ?? null,
    revokedAt: row.revokedAt?.toISOString() ?? null,
    lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
    createdAt: row.createdAt.toISOString(),
  };
}

const list = createRoute({
  method: 'get',
  path: '/v1/keys',
  tags: ['access'],
  summary: 'The keys of a principal, of the caller unless said otherwise, without their secrets',
  ...guard('authenticated'),
  request: { query: z.strictObject({ principalId: idParams.shape.id.optional() }) },
  responses: { 200: answer('Its keys.', z.object({ items: z.array(keySchema) })) },
});

const issue = createRoute({
  method: 'post',
  path: '/v1/keys',
  tags: ['access'],
  summary: 'Issues a key',
  ...guard('access:write', { secretAnswer: true }),
  request: {
    body: body(
      z.strictObject({
        principalId: idParams.shape.id,
        label: line(120),
        scopes: scopesSchema.optional(),
        expiresInDays: z.number().min(0.0001).max(3650).optional(),
      }),
    ),
  },
  responses: {
    201: answer(
      "The key; it is shown once and stored nowhere. Without `expiresInDays` a person's key lasts 365 days, that of a service or an agent until it is revoked.",
      z.object({
        id: z.string(),
        key: z.string(),
        principalId: z.string(),
        scopes: z.array(z.string()).nullable(),
        expiresAt: instant.nullable(),
      }),
    ),
  },
});

const rotate = createRoute({
  method: 'post',
  path: '/v1/keys/{id}/rotate',
  tags: ['access'],
  summary: "Replaces a key by a new one; both are valid for a while. One's own, or with access:write any",
  ...guard('authenticated', { secretAnswer: true }),
  request: {
    params: idParams,
    body: optionalBody(
      z.strictObject({
        overlapSeconds: z
          .number()
          .int()
          .min(0)
          .max(7 * 86_400)
          .optional(),
      }),
    ),
  },
  responses: {
    201: answer(
      'The new key; it is shown once and stored nowhere. It has the scopes and the length of life of the old one.',
      z.object({
        id: z.string(),
        key: z.string(),
        principalId: z.string(),
        rotatedFrom: z.string(),
        expiresAt: instant.nullable(),
        oldExpiresAt: instant,
      }),
    ),
  },
});

const revoke = createRoute({
  method: 'post',
  path: '/v1/keys/{id}/revoke',
  tags: ['access'],
  summary:
    "Revokes a key, one's own or with access:write any; every API process refuses it from the next request on",
  ...guard('authenticated'),
  request: { params: idParams, body: optionalBody(z.strictObject({})) },
  responses: { 200: answer('Revoked.', z.object({ id: z.string(), revoked: z.literal(true) })) },
});

const dayMs = 86_400_000;
const daysOfPeople = 365;

function lasting(days: number | null, nowMs: number): Date | null {
  return days === null ? null : new Date(nowMs + days * dayMs);
}

/** Where nothing is said, also where no body is sent at all. */
const defaultOverlapSeconds = 3600;

function defaultDays({ kind }: KnownPrincipal): number | null {
  return kind === 'human' ? daysOfPeople : null;
}

export function addKeyRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  /** A key that is not the caller's to change is as unknown as one that does not exist. */
  async function requireKey(c: ApiContext, id: string): Promise<{ key: KeyRow; owner: KnownPrincipal }> {
    const key = await getKey(db, id);
    if (key === null || !mayLookAfter(c.get('principal'), key.principalId, 'access:write'))
      throwRefusal(refuse('NOT_FOUND', `There is no key ${id}.`));
    return { key, owner: await requirePrincipal(deps, key.principalId) };
  }

  /** Nobody gets a key that can do more than the one they ask with. */
  async function requireCover(
    c: ApiContext,
    owner: KnownPrincipal,
    scopes: string[] | null,
    subject: { action: string; id: string },
  ): Promise<void> {
    const held = actorOf(owner).permissions;
    const wanted = scopes === null ? held : intersectPermissions(held, scopes);
    await requireToHold(deps, c, wanted, { ...subject, kind: 'key' }, owner.id);
  }

  app.openapi(list, async (c) => {
    const principal = c.get('principal');
    const { principalId = principal.id } = c.req.valid('query');
    if (!mayLookAfter(principal, principalId, 'access:read'))
      throwRefusal(refuse('NOT_FOUND', `There is no principal ${principalId}.`));
    const { id } = await requirePrincipal(deps, principalId);
    return c.json({ items: (await listKeys(db, id)).map(keyView) }, 200);
  });

  app.openapi(issue, async (c) => {
    const { principalId, label, scopes = null, ...rest } = c.req.valid('json');
    const owner = await requirePrincipal(deps, principalId);
    requireNoPart(principalId);
    const unknown = checkPermissionStrings(scopes ?? [], owner.kind);
    if (unknown !== null) throwRefusal(unknown);
    const { id, key, hash } = mintKey(deps.pepper, deps.keyEnvironment);
    await requireCover(c, owner, scopes, { action: 'key.issue', id });
    const expiresAt = lasting(rest.expiresInDays ?? defaultDays(owner), deps.now());
    const actor = c.get('principal').id;
    await storeKey(db, { ...{ id, principalId, label, hash, scopes, expiresAt, actor }, opKey: `key:${id}` });
    return c.json({ id, key, principalId, scopes, expiresAt: expiresAt?.toISOString() ?? null }, 201);
  });

  app.openapi(rotate, async (c) => {
    const { key: old, owner } = await requireKey(c, c.req.valid('param').id);
    requireNoPart(owner.id);
    await requireCover(c, owner, old.scopes, { action: 'key.rotate', id: old.id });
    const { id, key, hash } = mintKey(deps.pepper, deps.keyEnvironment);
    const rotated = await rotateKey(db, {
      ...{ id, hash, from: old.id, defaultDays: defaultDays(owner), actor: c.get('principal').id },
      overlapSeconds: c.req.valid('json').overlapSeconds ?? defaultOverlapSeconds,
      opKey: `key.rotate:${id}`,
    });
    if (rotated.status === 'unchanged')
      throwRefusal(
        refuse(
          'CONFLICT',
          `Key ${old.id} is no longer valid or has a successor already; revoke the successor to rotate it again.`,
        ),
      );
    const { expiresAt, oldExpiresAt } = rotated.result;
    return c.json(
      {
        ...{ id, key, principalId: owner.id, rotatedFrom: old.id },
        expiresAt: expiresAt === null ? null : new Date(expiresAt).toISOString(),
        oldExpiresAt: new Date(oldExpiresAt).toISOString(),
      },
      201,
    );
  });

  app.openapi(revoke, async (c) => {
    const { key } = await requireKey(c, c.req.valid('param').id);
    await revokeKey(db, {
      id: key.id,
      actor: c.get('principal').id,
      opKey: `key.revoke:${key.id}:${newId('op')}`,
    });
    return c.json({ id: key.id, revoked: true as const }, 200);
  });
}
