import { createRoute, z } from '@hono/zod-openapi';
import { newId } from '../../db/ids.ts';
import { changeRole, createRole, deleteRole, getRole, listRoles, type RoleRow } from '../../db/roles.ts';
import { builtInRoles, isBuiltIn, permissionsOf } from '../../domain/access.ts';
import { refuse } from '../../domain/refusal.ts';
import { checkPermissionStrings } from '../../domain/scope.ts';
import { requireToHold } from '../access-rules.ts';
import { guard } from '../auth.ts';
import type { Api, ApiContext, ApiDeps } from '../context.ts';
import { throwRefusal } from '../problems.ts';
import { answer, body, idParams, instant, line } from '../schemas.ts';

const roleSchema = z
  .object({
    name: z.string(),
    description: z.string(),
    permissions: z.array(z.string()),
    builtIn: z.boolean(),
    createdAt: instant.nullable(),
    updatedAt: instant.nullable(),
  })
  .openapi('Role');

const descriptions: Record<(typeof builtInRoles)[number], string> = {
  admin: 'Everything but what agents say of themselves and breaking the glass',
  operator: 'Proposes, decides and runs work',
  viewer: 'Reads everything but access',
  agent: 'Carries tasks out',
  'break-glass': 'Reads, and may break the glass',
};

function roleView(row: RoleRow): z.infer<typeof roleSchema> {
  const { name, description, permissions } = row;
  return {
    ...{ name, description, permissions, builtIn: false },
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

const builtIns = builtInRoles.map((name) => ({
  name,
  description: descriptions[name],
  permissions: [...permissionsOf(name)],
  builtIn: true,
  createdAt: null,
  updatedAt: null,
}));

const held = z.array(z.string().max(250)).min(1).max(200);

const list = createRoute({
  method: 'get',
  path: '/v1/roles',
  tags: ['access'],
  summary: 'Roles, the built-in ones first',
  ...guard('access:read'),
  responses: { 200: answer('All of them.', z.object({ items: z.array(roleSchema) })) },
});

const create = createRoute({
  method: 'post',
  path: '/v1/roles',
  tags: ['access'],
  summary: 'Creates a role: a name for permissions, each `resource:action` or `resource:action@target`',
  ...guard('access:write'),
  request: {
    body: body(
      z.strictObject({
        name: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/),
        description: line(200),
        permissions: held,
      }),
    ),
  },
  responses: { 201: answer('The role.', roleSchema) },
});

const patch = createRoute({
  method: 'patch',
  path: '/v1/roles/{id}',
  tags: ['access'],
  summary: 'Changes a role for everybody who has it; a built-in one cannot be changed',
  ...guard('access:write'),
  request: {
    params: idParams,
    body: body(z.strictObject({ description: line(200).optional(), permissions: held.optional() })),
  },
  responses: { 200: answer('The role as it is now.', roleSchema) },
});

const remove = createRoute({
  method: 'delete',
  path: '/v1/roles/{id}',
  tags: ['access'],
  summary: 'Removes a role that nobody has',
  ...guard('access:write'),
  request: { params: idParams },
  responses: {
    200: answer('It is gone.', z.object({ name: z.string(), deleted: z.literal(true) })),
  },
});

export function addRoleRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  /** Refuses permissions that do not exist, and those the caller does not hold. */
  async function requireGivable(
    c: ApiContext,
    action: string,
    name: string,
    permissions: string[],
  ): Promise<void> {
    const unknown = checkPermissionStrings(permissions, 'human');
    if (unknown !== null) throwRefusal(unknown);
    // Who has the role may be the caller, so nothing is given here that the caller lacks.
    await requireToHold(deps, c, permissions, { action, kind: 'role', id: name }, c.get('principal').id);
  }

  async function requireCustom(name: string): Promise<RoleRow> {
    if (isBuiltIn(name))
      throwRefusal(
        refuse('FORBIDDEN', `${name} is built in and stays as it is; create a role of another name.`),
      );
    return (await getRole(db, name)) ?? throwRefusal(refuse('NOT_FOUND', `There is no role ${name}.`));
  }

  app.openapi(list, async (c) =>
    c.json({ items: [...builtIns, ...(await listRoles(db)).map(roleView)] }, 200),
  );

  app.openapi(create, async (c) => {
    const input = c.req.valid('json');
    if (isBuiltIn(input.name)) throwRefusal(refuse('CONFLICT', `${input.name} is a built-in role.`));
    await requireGivable(c, 'role.create', input.name, input.permissions);
    const opKey = `role.create:${newId('op')}`;
    const outcome = await createRole(db, { ...input, actor: c.get('principal').id, opKey });
    if (outcome.status === 'unchanged')
      throwRefusal(refuse('CONFLICT', `There is already a role ${input.name}.`));
    return c.json(roleView(await requireCustom(input.name)), 201);
  });

  app.openapi(patch, async (c) => {
    const { description, permissions } = c.req.valid('json');
    const before = await requireCustom(c.req.valid('param').id);
    // Also what it permits now: a role above the caller is not the caller's to change.
    await requireGivable(c, 'role.change', before.name, [...before.permissions, ...(permissions ?? [])]);
    const outcome = await changeRole(db, before, {
      ...(description === undefined ? {} : { description }),
      ...(permissions === undefined ? {} : { permissions }),
      actor: c.get('principal').id,
      opKey: `role.change:${newId('op')}`,
    });
    if (outcome.status === 'unchanged')
      throwRefusal(refuse('STALE', 'The role changed in the meantime; read it again, then change it.'));
    return c.json(roleView(await requireCustom(before.name)), 200);
  });

  app.openapi(remove, async (c) => {
    const { name } = await requireCustom(c.req.valid('param').id);
    const opKey = `role.delete:${newId('op')}`;
    const outcome = await deleteRole(db, { name, actor: c.get('principal').id, opKey });
    if (outcome.status === 'unchanged')
      throwRefusal(
        refuse('CONFLICT', `Somebody has the role ${name}; change their role and revoke its grants first.`),
      );
    return c.json({ name, deleted: true as const }, 200);
  });
}
