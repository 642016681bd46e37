import { createRoute, z } from '@hono/zod-openapi';
import {
  addEventSchema,
  changeEventSchema,
  type EventSchemaRow,
  listEventSchemas,
  versionsOf,
} from '../../db/event-schemas.ts';
import { recentPayloads } from '../../db/event-types.ts';
import { newId } from '../../db/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import {
  backTestInput,
  backTestResult,
  checkInput,
  checkResult,
  requirePostedType,
  requireSchema,
  schemaEdit,
  schemaInput,
  schemaView,
  versionsView,
  viewSchema,
  viewVersions,
} from '../event-schema-views.ts';
import type { EventSchemas } from '../event-schemas.ts';
import { cutPage, decodeCursor, pageOf, pageQuery } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, body, idParams, queryText } from '../schemas.ts';

const tags = ['bus'];
const place = z.strictObject({ type: z.string().max(120), version: z.number().int().min(0) });

const create = createRoute({
  method: 'post',
  path: '/v1/event-schemas',
  tags,
  summary: 'Stores the next version of the schema of a type; from then on posted payloads are checked',
  ...guard('bus:write'),
  request: { body: body(schemaInput) },
  responses: { 201: answer('The version.', schemaView) },
});

const list = createRoute({
  method: 'get',
  path: '/v1/event-schemas',
  tags,
  summary: 'Schemas of event types, by type and version',
  ...guard('bus:read'),
  request: {
    query: z.strictObject({
      ...pageQuery,
      type: queryText(120).optional(),
      enabled: z.enum(['true', 'false']).optional(),
    }),
  },
  responses: { 200: answer('One page of schemas.', pageOf(schemaView)) },
});

const one = createRoute({
  method: 'get',
  path: '/v1/event-schemas/{id}',
  tags,
  summary: 'The schema of a type that is in force, and its versions, newest first',
  ...guard('bus:read'),
  request: { params: idParams },
  responses: { 200: answer('The schema.', versionsView) },
});

const edit = createRoute({
  method: 'patch',
  path: '/v1/event-schemas/{id}',
  tags,
  summary: 'Changes the mode of a version, or puts it in force or out of it',
  ...guard('bus:write'),
  request: { params: idParams, body: body(schemaEdit) },
  responses: { 200: answer('The schema as it is now.', versionsView) },
});

const remove = createRoute({
  method: 'delete',
  path: '/v1/event-schemas/{id}',
  tags,
  summary: 'Puts the schema of a type out of force; its versions stay, as events name them',
  ...guard('bus:write'),
  request: { params: idParams },
  responses: { 200: answer('The schema as it is now.', versionsView) },
});

const check = createRoute({
  method: 'post',
  path: '/v1/event-schemas/check',
  tags,
  summary: 'Says whether an event fits a schema; stores neither',
  ...guard('bus:read'),
  request: { body: body(checkInput) },
  responses: { 200: answer('Whether it fits, and the first thing that does not.', checkResult) },
});

const backTest = createRoute({
  method: 'post',
  path: '/v1/event-schemas/back-test',
  tags,
  summary: 'Runs a schema over the newest recorded events of a type; stores nothing',
  ...guard('bus:read'),
  request: { body: body(backTestInput) },
  responses: { 200: answer('How many fit, and examples of those that do not.', backTestResult) },
});

const maxExamples = 20;

export function addEventSchemaRoutes(app: Api, deps: ApiDeps, schemas: EventSchemas): void {
  const { db, log } = deps.database;

  async function requireVersions(type: string): Promise<EventSchemaRow[]> {
    const versions = await versionsOf(db, type);
    return versions.length > 0
      ? versions
      : throwRefusal(refuse('NOT_FOUND', `There is no schema of the type ${type}.`));
  }

  app.openapi(check, (c) => {
    const { schema, event } = c.req.valid('json');
    const problem = requireSchema(schema)(event.payload);
    return c.json({ valid: problem === null, problem }, 200);
  });

  app.openapi(backTest, async (c) => {
    const { type, schema, last } = c.req.valid('json');
    const run = requireSchema(schema);
    const recorded = await recentPayloads(log, type, last);
    const wrong = recorded.flatMap(({ id, payload }) => {
      const problem = run(payload);
      return problem === null ? [] : [{ eventId: id, ...problem }];
    });
    const looked = recorded.length;
    const valid = looked - wrong.length;
    return c.json({ type, looked, valid, invalid: wrong.length, examples: wrong.slice(0, maxExamples) }, 200);
  });

  app.openapi(create, async (c) => {
    const input = c.req.valid('json');
    requirePostedType(input.type);
    requireSchema(input.schema);
    const version = ((await versionsOf(db, input.type, 1))[0]?.version ?? 0) + 1;
    const actor = c.get('principal').id;
    const opKey = `event-schema.add:${input.type}:${version}:${newId('op')}`;
    const outcome = await addEventSchema(db, { ...input, version, actor, opKey });
    if (outcome.status === 'unchanged')
      throwRefusal(
        refuse('CONFLICT', `Somebody else just stored version ${version} of the schema of ${input.type}.`),
      );
    schemas.forget();
    const row = (await requireVersions(input.type)).find((each) => each.version === version);
    if (row === undefined) throw new Error('the stored schema is gone');
    return c.json(viewSchema(row), 201);
  });

  app.openapi(list, async (c) => {
    const { limit, cursor, type, enabled } = c.req.valid('query');
    const filter = { type, enabled: enabled === undefined ? undefined : enabled === 'true' };
    const rows = await listEventSchemas(db, filter, decodeCursor(cursor, place), limit + 1);
    const page = cutPage(rows, limit, (row) => ({ type: row.type, version: row.version }));
    return c.json({ items: page.rows.map(viewSchema), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) => {
    const { id } = c.req.valid('param');
    return c.json(viewVersions(id, await requireVersions(id)), 200);
  });

  app.openapi(edit, async (c) => {
    const { id } = c.req.valid('param');
    const { version, ...said } = c.req.valid('json');
    if (said.mode === undefined && said.enabled === undefined)
      throwRefusal(refuse('INVALID', 'body: say what changes: mode, enabled or both.'));
    await requireVersions(id);
    const outcome = await changeEventSchema(db, {
      ...{ type: id, version, ...said, actor: c.get('principal').id },
      opKey: `event-schema.change:${id}:${newId('op')}`,
    });
    if (outcome.status === 'unchanged')
      throwRefusal(refuse('NOT_FOUND', `There is no version ${version} of the schema of ${id}.`));
    schemas.forget();
    return c.json(viewVersions(id, await requireVersions(id)), 200);
  });

  app.openapi(remove, async (c) => {
    const { id } = c.req.valid('param');
    const inForce = (await requireVersions(id)).filter(({ enabled }) => enabled);
    for (const { version } of inForce)
      await changeEventSchema(db, {
        ...{ type: id, version, enabled: false, actor: c.get('principal').id },
        opKey: `event-schema.remove:${id}:${newId('op')}`,
      });
    schemas.forget();
    return c.json(viewVersions(id, await requireVersions(id)), 200);
  });
}
