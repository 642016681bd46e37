import { createRoute, z } from '@hono/zod-openapi';
import { newId } from '../../db/ids.ts';
import { countUnder, getKillSwitch, listKillSwitches } from '../../db/kill-switch-list.ts';
import { engageSwitch, readSwitches, releaseSwitch } from '../../db/kill-switch.ts';
import { claimStops } from '../../db/task-hold.ts';
import {
  checkScope,
  defaultReleasePerMinute,
  holdLevels,
  isLoosened,
  maxReleasePerMinute,
} from '../../domain/kill-switch.ts';
import { isRefusal } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { cutPage, decodeCursor, pageOf, pageQuery } from '../paging.ts';
import { requireReach } from '../object-scope.ts';
import { describeError, throwRefusal } from '../problems.ts';
import { answer, body, reason } from '../schemas.ts';
import { heldSchema, killSwitchSchema, switchView } from '../switch-view.ts';

const scope = z.string().max(207);
const why = reason.regex(/\S/, 'has to say why');

const list = createRoute({
  method: 'get',
  path: '/v1/kill-switch',
  tags: ['kill-switch'],
  summary: 'Every kill switch that was ever engaged, the newest engagement first, and what lies under it',
  ...guard('kill-switch:read'),
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: answer('One page of switches.', pageOf(killSwitchSchema)) },
});

const held = createRoute({
  method: 'get',
  path: '/v1/kill-switch/held',
  tags: ['kill-switch'],
  summary: 'What engaging a switch over a scope would stop and hold back now',
  ...guard('kill-switch:read'),
  request: { query: z.strictObject({ scope }) },
  responses: {
    200: answer(
      'Attempts under way, tasks that wait, and tasks parked already.',
      z.object({ scope: z.string(), held: heldSchema }),
    ),
  },
});

const engage = createRoute({
  method: 'put',
  path: '/v1/kill-switch',
  tags: ['kill-switch'],
  summary:
    'Engages a kill switch, or engages it again: stops what runs in its scope and parks what would begin',
  ...guard('kill-switch:engage'),
  request: { body: body(z.strictObject({ scope, level: z.enum(holdLevels), reason: why })) },
  responses: {
    200: answer(
      'It is engaged. `told`: runs that were told to stop at once; the worker tells any others.',
      z.object({ killSwitch: killSwitchSchema, told: z.number() }),
    ),
  },
});

const release = createRoute({
  method: 'post',
  path: '/v1/kill-switch/release',
  tags: ['kill-switch'],
  summary: 'Releases a kill switch; what it parked begins again, so many a minute',
  ...guard('kill-switch:release'),
  request: {
    body: body(
      z.strictObject({
        scope,
        reason: why,
        perMinute: z.number().int().min(1).max(maxReleasePerMinute).default(defaultReleasePerMinute),
      }),
    ),
  },
  responses: { 200: answer('It is released.', z.object({ killSwitch: killSwitchSchema })) },
});

const place = z.strictObject({ epoch: z.number().int().positive() });
/** More are left to the worker, which tells every run within a second. */
const mostToldAtOnce = 200;

export function addKillSwitchRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  function requireScope(given: string): string {
    const wrong = checkScope(given);
    return wrong === null ? given : throwRefusal(wrong);
  }

  async function viewOf(of: string) {
    const row = await getKillSwitch(db, of);
    if (row === null) throw new Error(`The kill switch over ${of} is gone, and switches are never deleted.`);
    return switchView(row);
  }

  /** The switch is engaged by its row alone; a signal only makes runs look at it sooner. */
  async function tellRuns(): Promise<number> {
    try {
      const runs = await claimStops(db, mostToldAtOnce);
      const told = await Promise.allSettled(runs.map((run) => deps.temporal.signalHold(run.workflowId)));
      return told.filter(({ status }) => status === 'fulfilled').length;
    } catch (error) {
      deps.log.warn({ err: describeError(error) }, 'the worker has to tell the runs of a kill switch');
      return 0;
    }
  }

  app.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const rows = await listKillSwitches(db, decodeCursor(cursor, place), limit + 1);
    const page = cutPage(rows, limit, ({ epoch }) => ({ epoch }));
    return c.json({ items: page.rows.map(switchView), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(held, async (c) => {
    const of = requireScope(c.req.valid('query').scope);
    return c.json({ scope: of, held: await countUnder(db, of) }, 200);
  });

  app.openapi(engage, async (c) => {
    const asked = c.req.valid('json');
    requireScope(asked.scope);
    const principal = c.get('principal');
    const { switches } = await readSwitches(db);
    const before = switches.find((each) => each.scope === asked.scope);
    if (before !== undefined && isLoosened(before.level, asked.level))
      requireReach(principal, 'kill-switch:release');
    await engageSwitch(db, { ...asked, actor: principal.id, opKey: `kill-switch.engage:${newId('op')}` });
    const told = await tellRuns();
    return c.json({ killSwitch: await viewOf(asked.scope), told }, 200);
  });

  app.openapi(release, async (c) => {
    const asked = c.req.valid('json');
    requireScope(asked.scope);
    const actor = c.get('principal').id;
    const opKey = `kill-switch.release:${newId('op')}`;
    const released = await releaseSwitch(db, { ...asked, actor, opKey });
    if (isRefusal(released)) throwRefusal(released);
    return c.json({ killSwitch: await viewOf(asked.scope) }, 200);
  });
}
