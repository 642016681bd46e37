import { createRoute, z } from '@hono/zod-openapi';
import { derivedId, newId } from '../../db/ids.ts';
import { getNotification, listNotifications, queueTest } from '../../db/notifications.ts';
import { notificationStates } from '../../domain/notification.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import { notificationSchema, notificationView } from '../channel-views.ts';
import type { Api, ApiDeps } from '../context.ts';
import { cutPage, decodeCursor, pageOf, pageQuery, timePlace } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, idempotencyHeader, idParams, optionalBody, queryText } from '../schemas.ts';
import { requireChannel } from './channels.ts';

const list = createRoute({
  method: 'get',
  path: '/v1/notifications',
  tags: ['notifications'],
  summary: 'What was sent or held back, newest first, with the receipts',
  ...guard('channels:read'),
  request: {
    query: z.strictObject({
      ...pageQuery,
      channelId: queryText(100).optional(),
      state: z.enum(notificationStates).optional(),
      topic: queryText(120).optional(),
    }),
  },
  responses: { 200: answer('One page of notifications.', pageOf(notificationSchema)) },
});

const tryOut = createRoute({
  method: 'post',
  path: '/v1/channels/{id}/test',
  tags: ['notifications'],
  summary: 'Sends a message through a channel now and waits some seconds for its receipt',
  ...guard('channels:write'),
  request: { params: idParams, headers: idempotencyHeader, body: optionalBody(z.strictObject({})) },
  responses: {
    200: answer('How it ended. A receiver that refuses it is a result, not an error.', notificationSchema),
    202: answer('It is still on its way: it is tried again for an hour.', notificationSchema),
  },
});

const waitForReceiptMs = 5_000;

export function addNotificationRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  app.openapi(list, async (c) => {
    const { limit, cursor, ...filter } = c.req.valid('query');
    const rows = await listNotifications(db, filter, decodeCursor(cursor, timePlace), limit + 1);
    const page = cutPage(rows, limit, (row) => ({ at: row.createdAt.getTime(), id: row.id }));
    const items = page.rows.map((row) => notificationView(deps, row));
    return c.json({ items, nextCursor: page.nextCursor }, 200);
  });

  app.openapi(tryOut, async (c) => {
    const channel = await requireChannel(deps, c.req.valid('param').id);
    if (!channel.enabled)
      throwRefusal(refuse('CONFLICT', `Channel ${channel.name} is switched off; enable it first.`));
    const { id: actor } = c.get('principal');
    const key = c.req.valid('header')['idempotency-key'];
    const occurrence = key === undefined ? newId('run') : derivedId('run', `${actor}|${channel.id}|${key}`);
    const notificationId = await queueTest(db, { channel, occurrence, actor });
    const title = `Test of channel ${channel.name}`;
    await deps.temporal.sendNotification({
      ...{ notificationId, channelId: channel.id, title },
      waitMs: waitForReceiptMs,
    });
    const row = await getNotification(db, notificationId);
    if (row === null) throwRefusal(refuse('NOT_FOUND', `There is no notification ${notificationId}.`));
    return c.json(notificationView(deps, row), row.state === 'queued' ? 202 : 200);
  });
}
