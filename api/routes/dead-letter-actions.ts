import { createRoute, z } from '@hono/zod-openapi';
import { discardDeadLetters } from '../../db/dead-letter-discard.ts';
import { type HandledAs, type LeftOutLetter, selectLetters } from '../../db/dead-letter-select.ts';
import { getDeadLetter } from '../../db/dead-letter-list.ts';
import { newId } from '../../db/ids.ts';
import { createRedrive, getRedrive, type NewRedrive } from '../../db/redrives.ts';
import { noneRedriven, redriveLimits } from '../../domain/redrive.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Api, ApiContext, ApiDeps, Asker } from '../context.ts';
import { deadLetterView, deadLetterSchema, redriveSchema, redriveView } from '../dead-letter-views.ts';
import {
  eitherMessage,
  isEither,
  isShown,
  leftOutSchema,
  refusalOf,
  requireEventReader,
  requireOne,
  selectWished,
  shownMessage,
  wishPreview,
  wishPreviewSchema,
  wishShape,
} from '../dead-letter-wish.ts';
import { askerOf } from '../decide.ts';
import { nowOrLater } from '../now-or-later.ts';
import { throwRefusal } from '../problems.ts';
import { answer, body, idParams, optionalBody, reason } from '../schemas.ts';

const why = reason.regex(/\S/, 'has to say why');

const redriveInput = z
  .strictObject({
    ...wishShape,
    perMinute: z.number().int().min(1).max(redriveLimits.mostPerMinute).default(redriveLimits.perMinute),
    canary: z.boolean().default(true),
    reason: why.optional(),
  })
  .refine(isEither, eitherMessage)
  .refine(isShown, shownMessage);

const discardInput = z
  .strictObject({ ...wishShape, reason: why })
  .refine(isEither, eitherMessage)
  .refine(isShown, shownMessage);

const startedSchema = z.object({
  preview: z.literal(false),
  redrive: redriveSchema,
  leftOut: leftOutSchema,
});

const discardedSchema = z.object({
  preview: z.literal(false),
  count: z.number(),
  discarded: z.number(),
  /** Those that somebody else handled meanwhile. */
  leftOut: leftOutSchema,
});

const redriveMany = createRoute({
  method: 'post',
  path: '/v1/dead-letters/redrive',
  tags: ['dead-letters'],
  summary: 'Shows which dead letters a redrive would be about, and hands over again exactly what was shown',
  ...guard('bus:operate'),
  request: { body: body(redriveInput) },
  responses: {
    200: answer('The preview, with its selection.', wishPreviewSchema),
    201: answer('The redrive is stored and its run started.', startedSchema),
    202: answer('The redrive is stored; its run starts once Temporal answers again.', startedSchema),
  },
});

const redriveOne = createRoute({
  method: 'post',
  path: '/v1/dead-letters/{id}/redrive',
  tags: ['dead-letters'],
  summary: 'Hands one dead letter over again',
  ...guard('bus:operate'),
  request: { params: idParams, body: optionalBody(z.strictObject({ reason: why.optional() })) },
  responses: {
    201: answer('The redrive is stored and its run started.', startedSchema),
    202: answer('The redrive is stored; its run starts once Temporal answers again.', startedSchema),
  },
});

const discardMany = createRoute({
  method: 'post',
  path: '/v1/dead-letters/discard',
  tags: ['dead-letters'],
  summary: 'Shows which dead letters would be given up for good, and gives up exactly what was shown',
  ...guard('bus:operate'),
  request: { body: body(discardInput) },
  responses: {
    200: answer(
      'The preview with its selection, or what was discarded.',
      z.discriminatedUnion('preview', [wishPreviewSchema, discardedSchema]),
    ),
  },
});

const discardOne = createRoute({
  method: 'post',
  path: '/v1/dead-letters/{id}/discard',
  tags: ['dead-letters'],
  summary: 'Gives one dead letter up for good, and says why',
  ...guard('bus:operate'),
  request: { params: idParams, body: body(z.strictObject({ reason: why })) },
  responses: { 200: answer('It is discarded.', deadLetterSchema) },
});

function askerWhoReads(c: ApiContext): Asker {
  const asker = askerOf(c);
  requireEventReader(asker.principal);
  return asker;
}

export function addDeadLetterActionRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  /** Stores the redrive and starts its run; one that Temporal does not hear of now is started by the relay. */
  async function start(asker: Asker, wanted: Omit<NewRedrive, 'id' | 'actor' | 'requestId'>) {
    const id = newId('rdr');
    const { principal, requestId } = asker;
    const stored = await createRedrive(db, { ...wanted, id, actor: principal.id, requestId });
    const leftOut = await whyLost(stored?.lost ?? wanted.ids, 'redrive');
    if (stored === null) throwRefusal(refusalOf(leftOut, null));
    const { taken } = stored;
    const started = await startRun(id, taken, wanted.canary ? 'canary' : 'releasing');
    const row = await getRedrive(db, id);
    if (row === null) throwRefusal(refuse('NOT_FOUND', `There is no redrive ${id}.`));
    const redrive = redriveView(deps, row, { ...noneRedriven, waiting: taken });
    return { started, view: { preview: false as const, redrive, leftOut } };
  }

  async function startRun(redriveId: string, total: number, state: string): Promise<boolean> {
    const work = () => deps.temporal.startRedrive({ redriveId, total, state });
    const undone = 'the run of a redrive could not be started yet';
    return (await nowOrLater(deps, work, undone, { redriveId })) !== null;
  }

  /** Those of a selection that somebody else was faster with, and what was done with them. */
  async function whyLost(lost: string[], as: HandledAs): Promise<LeftOutLetter[]> {
    if (lost.length === 0) return [];
    const wish = { which: { ids: lost }, maximum: lost.length, until: null };
    return (await selectLetters(db, wish, as)).leftOut;
  }

  app.openapi(redriveMany, async (c) => {
    const asker = askerWhoReads(c);
    const { canary, perMinute, reason: because = null, ...said } = c.req.valid('json');
    const selection = await selectWished(deps, asker, said, 'redrive');
    if (said.selection === undefined) return c.json(wishPreview(selection), 200);
    if (selection.items.length === 0) throwRefusal(refusalOf(selection.leftOut, null));
    const ids = selection.items.map(({ id }) => id);
    const filter = said.filter ?? null;
    const { started, view } = await start(asker, { ids, filter, canary, perMinute, reason: because });
    return started ? c.json(view, 201) : c.json(view, 202);
  });

  app.openapi(redriveOne, async (c) => {
    const asker = askerWhoReads(c);
    const { id } = c.req.valid('param');
    const because = c.req.valid('json').reason ?? null;
    await requireOne(deps, id, 'redrive');
    const { perMinute } = redriveLimits;
    const wanted = { ids: [id], filter: null, canary: true, perMinute, reason: because };
    const { started, view } = await start(asker, wanted);
    return started ? c.json(view, 201) : c.json(view, 202);
  });

  app.openapi(discardMany, async (c) => {
    const asker = askerWhoReads(c);
    const { reason: because, ...said } = c.req.valid('json');
    const selection = await selectWished(deps, asker, said, 'discard');
    if (said.selection === undefined) return c.json(wishPreview(selection), 200);
    const ids = selection.items.map(({ id }) => id);
    const discarded = await discardDeadLetters(db, {
      ...{ ids, reason: because, actor: asker.principal.id, requestId: asker.requestId },
      opKey: `discard:${newId('op')}`,
    });
    const isDone = new Set(discarded);
    const lost = ids.filter((id) => !isDone.has(id));
    const leftOut = await whyLost(lost, 'discard');
    const view = { preview: false as const, count: ids.length, discarded: discarded.length, leftOut };
    return c.json(view, 200);
  });

  app.openapi(discardOne, async (c) => {
    const asker = askerWhoReads(c);
    const { id } = c.req.valid('param');
    await requireOne(deps, id, 'discard');
    const [done] = await discardDeadLetters(db, {
      ...{ ids: [id], reason: c.req.valid('json').reason, actor: asker.principal.id },
      ...{ requestId: asker.requestId, opKey: `discard:${newId('op')}` },
    });
    // Somebody else was faster: what they did is why not.
    if (done === undefined) await requireOne(deps, id, 'discard');
    const whole = await getDeadLetter(db, id);
    if (whole === null) throwRefusal(refuse('NOT_FOUND', `There is no dead letter ${id}.`));
    return c.json(deadLetterView(whole.deadLetter), 200);
  });
}
