import { createRoute, z } from '@hono/zod-openapi';
import {
  addMember,
  createGroup,
  getGroup,
  type GroupRow,
  listGroups,
  listMembers,
  type MemberRow,
  removeMember,
} from '../../db/groups.ts';
import { newId } from '../../db/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import { requirePrincipal } from '../access-rules.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { cutPage, decodeCursor, idPlace, pageOf, pageQuery } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, body, idParams, instant, line } from '../schemas.ts';

const groupSchema = z
  .object({
    name: z.string(),
    description: z.string(),
    members: z.array(z.object({ principalId: z.string(), addedBy: z.string(), addedAt: instant })),
    createdAt: instant,
  })
  .openapi('Group');

function groupView(row: GroupRow, members: MemberRow[]): z.infer<typeof groupSchema> {
  const { name, description } = row;
  const own = members.filter(({ groupName }) => groupName === name);
  return {
    name,
    description,
    members: own.map(({ principalId, addedBy, addedAt }) => ({
      principalId,
      addedBy,
      addedAt: addedAt.toISOString(),
    })),
    createdAt: row.createdAt.toISOString(),
  };
}

const list = createRoute({
  method: 'get',
  path: '/v1/groups',
  tags: ['access'],
  summary: 'Groups of principals, for policies that say who approves',
  ...guard('access:read'),
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: answer('One page of groups.', pageOf(groupSchema)) },
});

const create = createRoute({
  method: 'post',
  path: '/v1/groups',
  tags: ['access'],
  summary: 'Creates a group',
  ...guard('access:write'),
  request: {
    body: body(z.strictObject({ name: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/), description: line(200) })),
  },
  responses: { 201: answer('The group, without members.', groupSchema) },
});

const member = body(z.strictObject({ principalId: idParams.shape.id }));

const add = createRoute({
  method: 'post',
  path: '/v1/groups/{id}/members',
  tags: ['access'],
  summary: 'Adds a member to a group; who did it and when is kept',
  ...guard('access:write'),
  request: { params: idParams, body: member },
  responses: { 200: answer('The group as it is now.', groupSchema) },
});

const remove = createRoute({
  method: 'post',
  path: '/v1/groups/{id}/members/remove',
  tags: ['access'],
  summary: 'Takes a member out of a group',
  ...guard('access:write'),
  request: { params: idParams, body: member },
  responses: { 200: answer('The group as it is now.', groupSchema) },
});

export function addGroupRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  async function requireGroup(name: string): Promise<GroupRow> {
    return (await getGroup(db, name)) ?? throwRefusal(refuse('NOT_FOUND', `There is no group ${name}.`));
  }

  async function showGroup(name: string): Promise<z.infer<typeof groupSchema>> {
    const [group, members] = await Promise.all([requireGroup(name), listMembers(db, [name])]);
    return groupView(group, members);
  }

  app.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const rows = await listGroups(db, decodeCursor(cursor, idPlace)?.id ?? '', limit + 1);
    const page = cutPage(rows, limit, (row) => ({ id: row.name }));
    const members = await listMembers(
      db,
      page.rows.map(({ name }) => name),
    );
    return c.json(
      { items: page.rows.map((row) => groupView(row, members)), nextCursor: page.nextCursor },
      200,
    );
  });

  app.openapi(create, async (c) => {
    const input = c.req.valid('json');
    const opKey = `group.create:${newId('op')}`;
    const outcome = await createGroup(db, { ...input, actor: c.get('principal').id, opKey });
    if (outcome.status === 'unchanged')
      throwRefusal(refuse('CONFLICT', `There is already a group ${input.name}.`));
    return c.json(await showGroup(input.name), 201);
  });

  for (const [route, change] of [
    [add, addMember],
    [remove, removeMember],
  ] as const)
    app.openapi(route, async (c) => {
      const { name } = await requireGroup(c.req.valid('param').id);
      const { id: principalId } = await requirePrincipal(deps, c.req.valid('json').principalId);
      const opKey = `group.member:${newId('op')}`;
      await change(db, { group: name, principalId, actor: c.get('principal').id, opKey });
      return c.json(await showGroup(name), 200);
    });
}
