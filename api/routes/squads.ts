import { createRoute, z } from '@hono/zod-openapi';
import { getAgent } from '../../db/agents.ts';
import { newId } from '../../db/ids.ts';
import {
  changeSquad,
  countSquadTasks,
  createSquad,
  deleteSquad,
  getSquad,
  isSquadMember,
  joining,
  leaving,
  listSquadMembers,
  listSquads,
  type SquadChange,
  type SquadRow,
} from '../../db/squads.ts';
import { isPermitted, type Principal } from '../../domain/access.ts';
import { refuse } from '../../domain/refusal.ts';
import { scopesOf } from '../../domain/scope.ts';
import { taskRoles } from '../../domain/task.ts';
import { guard } from '../auth.ts';
import type { Api, ApiContext, ApiDeps } from '../context.ts';
import { requireObject, requireReach } from '../object-scope.ts';
import { cutPage, decodeCursor, idPlace, pageOf, pageQuery } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, body, idParams, line } from '../schemas.ts';
import { squadSchema, squadView } from '../squad-view.ts';

const list = createRoute({
  method: 'get',
  path: '/v1/squads',
  tags: ['squads'],
  summary: 'Squads with their members, load and success',
  ...guard('squads:read'),
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: answer('One page of squads.', pageOf(squadSchema)) },
});

const create = createRoute({
  method: 'post',
  path: '/v1/squads',
  tags: ['squads'],
  summary: 'Creates a squad: agents that are preferred for its tasks',
  ...guard('squads:write'),
  request: {
    body: body(z.strictObject({ name: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/), description: line(200) })),
  },
  responses: { 201: answer('The squad, without members.', squadSchema) },
});

const one = createRoute({
  method: 'get',
  path: '/v1/squads/{id}',
  tags: ['squads'],
  summary: 'One squad',
  ...guard('squads:read'),
  request: { params: idParams },
  responses: { 200: answer('The squad.', squadSchema) },
});

const edit = createRoute({
  method: 'patch',
  path: '/v1/squads/{id}',
  tags: ['squads'],
  summary: 'Describes a squad anew, or says which member leads it',
  ...guard('squads:write'),
  request: {
    params: idParams,
    body: body(
      z.strictObject({
        description: line(200).optional(),
        leader: idParams.shape.id.nullable().optional(),
      }),
    ),
  },
  responses: { 200: answer('The squad as it is now.', squadSchema) },
});

const join = createRoute({
  method: 'post',
  path: '/v1/squads/{id}/members',
  tags: ['squads'],
  summary: 'Takes an agent in with a role, or gives a member another role',
  ...guard('squads:write'),
  request: {
    params: idParams,
    body: body(z.strictObject({ agentId: idParams.shape.id, role: z.enum(taskRoles) })),
  },
  responses: { 200: answer('The squad as it is now.', squadSchema) },
});

const leave = createRoute({
  method: 'post',
  path: '/v1/squads/{id}/members/remove',
  tags: ['squads'],
  summary: 'Lets a member go; a leader who leaves leads no more',
  ...guard('squads:write'),
  request: { params: idParams, body: body(z.strictObject({ agentId: idParams.shape.id })) },
  responses: { 200: answer('The squad as it is now.', squadSchema) },
});

const remove = createRoute({
  method: 'delete',
  path: '/v1/squads/{id}',
  tags: ['squads'],
  summary: 'Deletes a squad that has no open task',
  ...guard('squads:write'),
  request: { params: idParams },
  responses: { 200: answer('It is gone.', z.object({ name: z.string() })) },
});

const rounds = 5;

export function addSquadRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  async function requireSquad(
    principal: Principal,
    id: string,
    need: 'squads:read' | 'squads:write',
  ): Promise<SquadRow> {
    return requireObject(principal, await getSquad(db, id), {
      ...{ what: 'squad', id, need, read: 'squads:read' },
      target: ({ name }) => `squad:${name}`,
    });
  }

  async function views(rows: SquadRow[]): Promise<z.infer<typeof squadSchema>[]> {
    const names = rows.map(({ name }) => name);
    const [members, open] = await Promise.all([listSquadMembers(db, names), countSquadTasks(db, names)]);
    return rows.map((row) => squadView(row, members, open));
  }

  async function show(name: string): Promise<z.infer<typeof squadSchema>> {
    const row = await getSquad(db, name);
    const [view] = row === null ? [] : await views([row]);
    return view ?? throwRefusal(refuse('NOT_FOUND', `There is no squad ${name}.`));
  }

  /** An agent that the caller may not see is as unknown as one that does not exist. */
  async function requireAgent(principal: Principal, agentId: string): Promise<void> {
    const agent = await getAgent(db, agentId);
    if (agent === null || !isPermitted(principal, 'agents:read', `agent:${agentId}`))
      throwRefusal(refuse('INVALID', `There is no agent ${agentId}; list them with GET /v1/agents.`));
  }

  async function applied(
    c: ApiContext,
    id: string,
    changeOf: (squad: SquadRow) => Promise<SquadChange | null>,
  ): Promise<z.infer<typeof squadSchema>> {
    const principal = c.get('principal');
    for (let round = 0; round < rounds; round += 1) {
      const squad = await requireSquad(principal, id, 'squads:write');
      const wanted = await changeOf(squad);
      if (wanted === null) return show(id);
      const op = { actor: principal.id, opKey: `squad.change:${newId('op')}` };
      if ((await changeSquad(db, squad, wanted, op)).status !== 'unchanged') return show(id);
    }
    return throwRefusal(refuse('CONFLICT', `The squad ${id} changes all the time; try again in a moment.`));
  }

  app.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const scopes = scopesOf(c.get('principal'), 'squads:read');
    const rows = await listSquads(db, decodeCursor(cursor, idPlace)?.id ?? '', limit + 1, scopes);
    const page = cutPage(rows, limit, (row) => ({ id: row.name }));
    return c.json({ items: await views(page.rows), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(create, async (c) => {
    const input = c.req.valid('json');
    const principal = c.get('principal');
    requireReach(principal, 'squads:write', `squad:${input.name}`);
    const op = { actor: principal.id, opKey: `squad.create:${newId('op')}` };
    const outcome = await createSquad(db, { ...input, owner: principal.id, ...op });
    if (outcome.status === 'unchanged')
      throwRefusal(refuse('CONFLICT', `There is already a squad ${input.name}.`));
    return c.json(await show(input.name), 201);
  });

  app.openapi(one, async (c) => {
    const { name } = await requireSquad(c.get('principal'), c.req.valid('param').id, 'squads:read');
    return c.json(await show(name), 200);
  });

  app.openapi(edit, async (c) => {
    const { description, leader } = c.req.valid('json');
    if (description === undefined && leader === undefined)
      throwRefusal(refuse('INVALID', 'This changes nothing; give a description or a leader.'));
    const view = await applied(c, c.req.valid('param').id, async (squad) => {
      if (typeof leader === 'string' && !(await isSquadMember(db, squad.name, leader)))
        throwRefusal(
          refuse('INVALID', `leader: ${leader} is not a member of ${squad.name}; add it first.`, { leader }),
        );
      const set = {
        ...(description === undefined ? {} : { description }),
        ...(leader === undefined ? {} : { leader }),
      };
      return { what: leader === undefined ? 'described' : 'led', set, detail: set };
    });
    return c.json(view, 200);
  });

  app.openapi(join, async (c) => {
    const { agentId, role } = c.req.valid('json');
    const view = await applied(c, c.req.valid('param').id, async () => {
      await requireAgent(c.get('principal'), agentId);
      return joining(agentId, role);
    });
    return c.json(view, 200);
  });

  app.openapi(leave, async (c) => {
    const { agentId } = c.req.valid('json');
    const view = await applied(c, c.req.valid('param').id, async (squad) =>
      (await isSquadMember(db, squad.name, agentId)) ? leaving(squad, agentId) : null,
    );
    return c.json(view, 200);
  });

  app.openapi(remove, async (c) => {
    const { name } = await requireSquad(c.get('principal'), c.req.valid('param').id, 'squads:write');
    const op = { actor: c.get('principal').id, opKey: `squad.delete:${newId('op')}` };
    const outcome = await deleteSquad(db, name, op);
    if (outcome.status === 'unchanged') {
      const open = (await countSquadTasks(db, [name])).get(name) ?? 0;
      throwRefusal(
        refuse('CONFLICT', `The squad ${name} has ${open} open tasks; end or cancel them first.`, { open }),
      );
    }
    return c.json({ name }, 200);
  });
}
