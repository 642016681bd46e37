import { createRoute, z } from '@hono/zod-openapi';
import { horizonOf } from '../../db/event-tail.ts';
import { derivedId, digest, newId } from '../../db/ids.ts';
import { countSelected, selectedPages } from '../../db/replay-log.ts';
import { countDeliveries, createReplay, getReplay, getReplayTarget, noCounts } from '../../db/replays.ts';
import type { ReplayRow, ReplayTarget } from '../../db/replays.ts';
import { isRefusal, refuse } from '../../domain/refusal.ts';
import {
  checkSelection,
  defaultReplayMaximum,
  defaultReplayPerMinute,
  mostReplayMaximum,
  mostReplayPerMinute,
  replayText,
} from '../../domain/replay.ts';
import { routableOf } from '../../domain/routable.ts';
import { reasonAgainst } from '../../domain/routing.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { askerOf } from '../decide.ts';
import { nowOrLater } from '../now-or-later.ts';
import { requireReach } from '../object-scope.ts';
import { decodeCursor, encodeCursor, logPlace } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { foundSchema, replaySchema, replayView, selectionShape, toSelection } from '../replay-views.ts';
import { askRun } from '../requests.ts';
import { answer, body, deliveringSchema, idempotencyHeader, idParams } from '../schemas.ts';
import { optionalBody, reason, temporalLink } from '../schemas.ts';

const rate = `must be 1 to ${mostReplayPerMinute} a minute`;
const most = `must be 1 to ${mostReplayMaximum} events`;

const replayInput = z
  .strictObject({
    subscription: idParams.shape.id,
    select: z.strictObject(selectionShape),
    sideEffects: z.boolean().default(false),
    onlyMatching: z.boolean().default(false),
    perMinute: z.number().int().min(1, rate).max(mostReplayPerMinute, rate).default(defaultReplayPerMinute),
    maximum: z.number().int().min(1, most).max(mostReplayMaximum, most).default(defaultReplayMaximum),
    reason: reason.optional(),
    preview: z.boolean().default(false),
    selection: z.string().max(400).optional(),
  })
  .refine((said) => said.preview || said.reason !== undefined, {
    path: ['reason'],
    message: 'is missing; say why, the audit keeps it',
  })
  .refine((said) => !said.preview || said.selection === undefined, {
    path: ['selection'],
    message: 'goes with a start; preview: true makes a new one',
  });
type ReplayInput = z.infer<typeof replayInput>;

const previewSchema = foundSchema.extend({
  preview: z.literal(true),
  subscription: z.string(),
  /** How many the subscription's match wants; null where that was not asked. */
  matching: z.number().nullable(),
  selection: z.string(),
});

const start = createRoute({
  method: 'post',
  path: '/v1/replays',
  tags: ['bus'],
  summary:
    'Hands recorded events to one subscription again, without side effects unless asked; shows them first with preview: true',
  ...guard('bus:operate'),
  request: { headers: idempotencyHeader, body: body(replayInput) },
  responses: {
    200: answer('The preview; its selection makes a start take exactly what it showed.', previewSchema),
    202: answer('The replay is stored, and its run queues the events.', replaySchema),
  },
});

const cancel = createRoute({
  method: 'post',
  path: '/v1/replays/{id}/cancel',
  tags: ['bus'],
  summary: 'Ends a replay; what nobody has begun is taken back',
  ...guard('bus:operate'),
  request: { params: idParams, body: optionalBody(z.strictObject({ reason: reason.optional() })) },
  responses: {
    200: answer('The replay is cancelled.', replaySchema),
    202: answer('The request is stored and on its way to the run.', deliveringSchema),
  },
});

const selectionToken = logPlace.extend({ of: z.string().regex(/^[0-9a-f]{64}$/) });

/** The replay of a path; refuses an id that no replay has. */
export async function requireReplay(deps: ApiDeps, id: string): Promise<ReplayRow> {
  const row = await getReplay(deps.database.db, id);
  return row ?? throwRefusal(refuse('NOT_FOUND', `There is no replay ${id}.`));
}

export function addReplayRoutes(app: Api, deps: ApiDeps): void {
  const { db, log } = deps.database;

  async function requireTarget(key: string): Promise<ReplayTarget> {
    const target = await getReplayTarget(db, key);
    if (target === null)
      throwRefusal(refuse('NOT_FOUND', `There is no subscription ${key}; see GET /v1/subscriptions.`));
    if (!target.enabled)
      throwRefusal(refuse('CONFLICT', `Subscription ${key} is switched off; enable it, then replay.`));
    return target;
  }

  async function viewOf(row: ReplayRow) {
    const counts = (await countDeliveries(db, [row])).get(row.id) ?? noCounts;
    return replayView(deps, row, counts);
  }

  async function preview(said: ReplayInput, target: ReplayTarget) {
    const select = toSelection(said.select);
    const tx = await horizonOf(log);
    const recorded = { selection: select, untilTx: tx };
    const found = await countSelected(log, recorded, said.maximum);
    let matching = said.onlyMatching ? 0 : null;
    const routable = routableOf(target);
    if (isRefusal(routable)) throwRefusal(routable);
    if (matching !== null)
      for await (const page of selectedPages(log, recorded, said.maximum))
        matching += page.filter((event) => reasonAgainst(routable, event) === null).length;
    const of = digest(replayText({ ...said, select }));
    return {
      ...{ preview: true as const, subscription: said.subscription, ...found, matching },
      selection: encodeCursor({ tx, seq: '0', of }),
    };
  }

  /** Up to where a preview looked; throws where this is another question than it answered. */
  async function untilOf(said: ReplayInput): Promise<{ untilTx?: string }> {
    const token = decodeCursor(said.selection, selectionToken);
    if (token === null) return {};
    if (BigInt(token.tx) > BigInt(await horizonOf(log)))
      throwRefusal(refuse('INVALID', 'selection: no preview of this log answered this; ask for one first.'));
    if (token.of !== digest(replayText({ ...said, select: toSelection(said.select) })))
      throwRefusal(
        refuse(
          'STALE',
          'This is not what the preview showed: subscription, select or onlyMatching differ. Nothing was started; ask for a preview again.',
        ),
      );
    return { untilTx: token.tx };
  }

  app.openapi(start, async (c) => {
    const said = c.req.valid('json');
    const { principal } = askerOf(c);
    const select = toSelection(said.select);
    const wrong = checkSelection(select, deps.now());
    if (wrong !== null) throwRefusal(wrong);
    if (said.sideEffects) requireReach(principal, 'bus:write');
    const target = await requireTarget(said.subscription);
    if (said.preview) return c.json(await preview(said, target), 200);

    const key = c.req.valid('header')['idempotency-key'];
    const id = key === undefined ? newId('rpl') : derivedId('rpl', `${principal.id}|${key}`);
    const until = await untilOf(said);
    const recorded = { selection: select, untilTx: until.untilTx ?? (await horizonOf(log)) };
    const { more } = await countSelected(log, recorded, said.maximum);
    if (more)
      throwRefusal(
        refuse(
          'LIMIT',
          `This selects more than ${said.maximum} events. Narrow select, or raise maximum (up to ${mostReplayMaximum}).`,
          { maximum: said.maximum },
        ),
      );
    const { subscription, sideEffects, onlyMatching, perMinute, maximum } = said;
    await createReplay(db, {
      ...{ id, subscription, selection: select, sideEffects, onlyMatching, perMinute, maximum, ...until },
      ...{ reason: said.reason ?? '', requestedBy: principal.id },
    });
    const row = await requireReplay(deps, id);
    const runId = await startRun(row);
    return c.json(await viewOf({ ...row, runId: row.runId ?? runId }), 202);
  });

  async function startRun({ id, subscription, runId, state }: ReplayRow): Promise<string | null> {
    if (runId !== null || state !== 'running') return runId;
    const work = () => deps.temporal.startReplay({ replayId: id, subscription });
    const about = { replayId: id };
    return (
      (await nowOrLater(deps, work, 'the run of a replay could not be started yet', about))?.runId ?? null
    );
  }

  const ended = ({ state }: ReplayRow) =>
    state === 'running'
      ? null
      : refuse('CONFLICT', `The replay is already ${state}; there is nothing to cancel.`, { state });

  app.openapi(cancel, async (c) => {
    const before = await requireReplay(deps, c.req.valid('param').id);
    const early = ended(before);
    if (early !== null) throwRefusal(early);
    const { id, workflowId } = before;
    const why = c.req.valid('json').reason ?? null;
    const { delivered, requestId } = await askRun(
      deps,
      {
        ...{ asker: askerOf(c), workflowId, subjectId: id, action: 'cancel', reason: why },
        ...{ approvalId: null, digest: null },
      },
      async () => ended(await requireReplay(deps, id)),
    );
    const row = await requireReplay(deps, id);
    if (delivered) return c.json(await viewOf(row), 200);
    const temporal = temporalLink(deps, workflowId, row.runId);
    return c.json({ status: 'accepted-for-delivery' as const, requestId, temporal }, 202);
  });
}
