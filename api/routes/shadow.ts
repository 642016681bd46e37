import { createRoute, z } from '@hono/zod-openapi';
import { horizonOf } from '../../db/event-tail.ts';
import { isClosed } from '../../db/replay-log.ts';
import type { Permission } from '../../domain/access.ts';
import { refuse } from '../../domain/refusal.ts';
import { checkSelection } from '../../domain/replay.ts';
import { guard } from '../auth.ts';
import type { Api, ApiContext, ApiDeps } from '../context.ts';
import { requireReach } from '../object-scope.ts';
import { throwRefusal } from '../problems.ts';
import { selectionShape, toSelection } from '../replay-views.ts';
import { answer, body, idParams } from '../schemas.ts';
import { haloRuleInput, haloShadowSchema, shadowHalo } from '../shadow-halo.ts';
import { shadowWormhole, wormholeShadowSchema } from '../shadow-wormhole.ts';
import { wormholeInput } from './wormhole-input.ts';

const time = z.iso.datetime({ offset: true });
const window = { from: time, to: time };

const haloInput = z.strictObject({
  kind: z.literal('halo'),
  ...window,
  rule: haloRuleInput,
  present: haloRuleInput.default({}),
});
const { from: _from, to: _to, ...narrowing } = selectionShape;
const changedWormhole = z
  .strictObject({
    kind: z.literal('wormhole'),
    ...window,
    select: z.strictObject(narrowing).default({}),
    wormholeId: idParams.shape.id.optional(),
    draft: wormholeInput.optional(),
  })
  .refine(({ wormholeId, draft }) => wormholeId !== undefined || draft !== undefined, {
    message: 'must have a draft, or the wormholeId of a stored wormhole, or both to compare them',
  });

const summary =
  'Runs a changed rule over a window of the log and says what it would propose and what not; writes and sends nothing';

export function addShadowRoute(app: Api, deps: ApiDeps): void {
  const { log } = deps.database;
  const described = {
    method: 'post' as const,
    path: '/v1/replays/shadow' as const,
    tags: ['bus'],
    summary,
    ...guard('bus:read'),
  };

  async function checked(c: ApiContext, asked: { from: string; to: string }, needs: Permission[]) {
    // It looks over everything: a permission for some targets only does not reach that far.
    for (const permission of needs) requireReach(c.get('principal'), permission, '*');
    const wrong = checkSelection({ from: asked.from, to: asked.to }, deps.now());
    if (wrong !== null) throwRefusal(wrong);
    // The same window has to give the same answer tomorrow.
    if (!(await isClosed(log, asked)))
      throwRefusal(
        refuse(
          'CONFLICT',
          `A transaction that began before ${asked.to} is still open and may add to this window. Try again in a moment, or end the window earlier.`,
        ),
      );
    return { window: { from: asked.from, to: asked.to }, untilTx: await horizonOf(log) };
  }

  const runHalo = async (c: ApiContext, said: z.infer<typeof haloInput>) =>
    shadowHalo(deps, {
      ...(await checked(c, said, ['events:read', 'halo:read', 'tasks:read', 'probes:read', 'agents:read'])),
      ...{ rule: said.rule, present: said.present },
    });

  const route = createRoute({
    ...described,
    request: { body: body(z.discriminatedUnion('kind', [haloInput, changedWormhole])) },
    responses: { 200: answer('What would differ.', z.union([haloShadowSchema, wormholeShadowSchema])) },
  });
  app.openapi(route, async (c) => {
    const said = c.req.valid('json');
    if (said.kind === 'halo') return c.json(await runHalo(c, said), 200);
    const { wormholeId, draft } = said;
    const asked = { ...(await checked(c, said, ['events:read'])), selection: toSelection(said.select) };
    return c.json(await shadowWormhole(deps, { ...asked, wormholeId, draft }), 200);
  });
}
