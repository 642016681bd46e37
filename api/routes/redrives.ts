import { createRoute, z } from '@hono/zod-openapi';
import { countRedriven, endRedrive, getRedrive, listOddItems, listRedrives } from '../../db/redrives.ts';
import { noneRedriven, redriveStates } from '../../domain/redrive.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { redriveSchema, redriveView, redriveWholeSchema } from '../dead-letter-views.ts';
import { cutPage, decodeCursor, pageOf, pageQuery, timePlace } from '../paging.ts';
import { describeError, throwRefusal } from '../problems.ts';
import { answer, idParams, optionalBody, reason } from '../schemas.ts';

const list = createRoute({
  method: 'get',
  path: '/v1/redrives',
  tags: ['dead-letters'],
  summary: 'Redrives, newest first, with how far each has got',
  ...guard('bus:read'),
  request: { query: z.strictObject({ ...pageQuery, state: z.enum(redriveStates).optional() }) },
  responses: { 200: answer('One page of redrives.', pageOf(redriveSchema)) },
});

const one = createRoute({
  method: 'get',
  path: '/v1/redrives/{id}',
  tags: ['dead-letters'],
  summary: 'One redrive: how far it has got, what failed again and what was left out',
  ...guard('bus:read'),
  request: { params: idParams },
  responses: { 200: answer('The redrive. `odd` has the first of what did not go well.', redriveWholeSchema) },
});

const cancel = createRoute({
  method: 'post',
  path: '/v1/redrives/{id}/cancel',
  tags: ['dead-letters'],
  summary: 'Ends a redrive now: what had no turn stays open, what is on its way goes on',
  ...guard('bus:operate'),
  request: { params: idParams, body: optionalBody(z.strictObject({ reason: reason.optional() })) },
  responses: { 200: answer('It is cancelled.', redriveWholeSchema) },
});

const mostOdd = 50;

export function addRedriveRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  async function require(id: string) {
    const row = await getRedrive(db, id);
    return row ?? throwRefusal(refuse('NOT_FOUND', `There is no redrive ${id}.`));
  }
  const countsOf = async (id: string) => (await countRedriven(db, [id])).get(id) ?? noneRedriven;

  async function whole(id: string): Promise<z.infer<typeof redriveWholeSchema>> {
    const [row, counts, odd] = await Promise.all([require(id), countsOf(id), listOddItems(db, id, mostOdd)]);
    return { ...redriveView(deps, row, counts), odd };
  }

  app.openapi(list, async (c) => {
    const { limit, cursor, state } = c.req.valid('query');
    const rows = await listRedrives(db, { state }, decodeCursor(cursor, timePlace), limit + 1);
    const page = cutPage(rows, limit, (row) => ({ at: row.createdAt.getTime(), id: row.id }));
    const counts = await countRedriven(
      db,
      page.rows.map(({ id }) => id),
    );
    const items = page.rows.map((row) => redriveView(deps, row, counts.get(row.id) ?? noneRedriven));
    return c.json({ items, nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) => c.json(await whole(c.req.valid('param').id), 200));

  app.openapi(cancel, async (c) => {
    const { id } = c.req.valid('param');
    await require(id);
    const end = { state: 'cancelled' as const, because: c.req.valid('json').reason ?? null };
    const by = { actor: c.get('principal').id, requestId: c.get('requestId') };
    if (!(await endRedrive(db, { id, end, ...by, counts: await countsOf(id) }))) {
      const { state } = await require(id);
      throwRefusal(refuse('CONFLICT', `The redrive ${id} is ${state} already; there is nothing to cancel.`));
    }
    // The record has ended it. The run only learns of it sooner than at its next look.
    await deps.temporal.signalRedrive(id).catch((error: unknown) => {
      deps.log.warn(
        { err: describeError(error), redriveId: id },
        'the run of a redrive was not told of its end',
      );
    });
    return c.json(await whole(id), 200);
  });
}
