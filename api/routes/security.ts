import { createRoute, z } from '@hono/zod-openapi';
import { newId } from '../../db/ids.ts';
import { getPrincipal } from '../../db/principals.ts';
import { riskSignals } from '../../db/risk.ts';
import {
  type BlockRow,
  endThreat,
  getBlock,
  getThreat,
  liftBlock,
  listBlocks,
  listThreats,
  placeBlock,
  type ThreatRow,
} from '../../db/shield.ts';
import { getKey } from '../../db/access.ts';
import { severities } from '../../domain/events.ts';
import { refuse } from '../../domain/refusal.ts';
import { highRiskScore, riskScore } from '../../domain/risk.ts';
import { subjectKinds, threatKinds, threatStates } from '../../domain/shield.ts';
import { isLoopback, normalAddress } from '../addresses.ts';
import { guard } from '../auth.ts';
import type { Chain } from '../chain.ts';
import type { Api, ApiDeps } from '../context.ts';
import { cutPage, decodeCursor, pageOf, pageQuery, timePlace } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, anyObject, body, idParams, instant, reason } from '../schemas.ts';

const blockedKinds = ['address', 'key', 'principal'] as const;

const threatSchema = z
  .object({
    id: z.string(),
    kind: z.enum(threatKinds),
    subject: z.object({ kind: z.enum(subjectKinds), id: z.string(), address: z.string().nullable() }),
    severity: z.enum(severities),
    count: z.number(),
    state: z.enum(threatStates),
    evidence: anyObject,
    firstAt: instant,
    lastAt: instant,
    expiresAt: instant,
    closedBy: z.string().nullable(),
    closedBecause: z.string().nullable(),
  })
  .openapi('Threat');

const blockSchema = z
  .object({
    id: z.string(),
    subject: z.object({ kind: z.enum(blockedKinds), id: z.string(), address: z.string().nullable() }),
    reason: z.string(),
    threatId: z.string().nullable(),
    placedBy: z.string(),
    until: instant,
    inForce: z.boolean(),
    liftedBy: z.string().nullable(),
    liftedBecause: z.string().nullable(),
    createdAt: instant,
  })
  .openapi('Block');

const threatsRoute = createRoute({
  method: 'get',
  path: '/v1/security/threats',
  tags: ['security'],
  summary: 'What Shield saw that looks like an attack, newest first',
  ...guard('security:read'),
  request: { query: z.strictObject({ ...pageQuery, state: z.enum(threatStates).optional() }) },
  responses: { 200: answer('One page of threats.', pageOf(threatSchema)) },
});

const closeRoute = createRoute({
  method: 'post',
  path: '/v1/security/threats/{id}/close',
  tags: ['security'],
  summary: 'Closes a threat that was looked into; blocks stay until their end or until they are lifted',
  ...guard('security:write'),
  request: { params: idParams, body: body(z.strictObject({ reason })) },
  responses: { 200: answer('Closed.', threatSchema) },
});

const blocksRoute = createRoute({
  method: 'get',
  path: '/v1/security/blocks',
  tags: ['security'],
  summary: 'Who is or was refused for a time, newest first',
  ...guard('security:read'),
  request: {
    query: z.strictObject({ ...pageQuery, inForce: z.literal('true').optional() }),
  },
  responses: { 200: answer('One page of blocks.', pageOf(blockSchema)) },
});

const placeRoute = createRoute({
  method: 'post',
  path: '/v1/security/blocks',
  tags: ['security'],
  summary: 'Refuses an address, a key or a principal for a time; acts within a second on every process',
  ...guard('security:write'),
  request: {
    body: body(
      z.strictObject({
        subject: z.strictObject({ kind: z.enum(blockedKinds), id: idParams.shape.id.or(z.string().max(60)) }),
        minutes: z
          .number()
          .int()
          .min(1)
          .max(30 * 24 * 60),
        reason,
      }),
    ),
  },
  responses: { 201: answer('The block.', blockSchema) },
});

const liftRoute = createRoute({
  method: 'post',
  path: '/v1/security/blocks/{id}/lift',
  tags: ['security'],
  summary: 'Ends a block before its time',
  ...guard('security:write'),
  request: { params: idParams, body: body(z.strictObject({ reason })) },
  responses: { 200: answer('Lifted.', blockSchema) },
});

const riskRoute = createRoute({
  method: 'get',
  path: '/v1/principals/{id}/risk',
  tags: ['security'],
  summary: 'How risky it is to let a principal decide, 0 to 100, and from which signals that follows',
  ...guard('security:read'),
  request: { params: idParams },
  responses: {
    200: answer(
      'The score of now.',
      z.object({
        principalId: z.string(),
        score: z.number(),
        mayDecideHighRisk: z.boolean(),
        signals: z.object({
          failedLogins: z.number(),
          denials: z.number(),
          refusals: z.number(),
          activeThreats: z.object({ warning: z.number(), error: z.number(), critical: z.number() }),
          ageDays: z.number(),
        }),
      }),
    ),
  },
});

function threatView(row: ThreatRow): z.infer<typeof threatSchema> {
  const { id, kind, severity, count, state, evidence, closedBy, closedBecause } = row;
  return {
    ...{ id, kind, severity, count, state, evidence, closedBy, closedBecause },
    subject: { kind: row.subjectKind, id: row.subjectId, address: row.address === '' ? null : row.address },
    firstAt: row.firstAt.toISOString(),
    lastAt: row.lastAt.toISOString(),
    expiresAt: row.expiresAt.toISOString(),
  };
}

function blockView(row: BlockRow, nowMs: number): z.infer<typeof blockSchema> {
  const { id, threatId, placedBy, liftedBy, liftedBecause } = row;
  return {
    ...{ id, reason: row.reason, threatId, placedBy, liftedBy, liftedBecause },
    subject: { kind: row.subjectKind, id: row.subjectId, address: row.address },
    until: row.until.toISOString(),
    inForce: row.liftedAt === null && row.until.getTime() > nowMs,
    createdAt: row.createdAt.toISOString(),
  };
}

const minuteMs = 60_000;

export function addSecurityRoutes(app: Api, deps: ApiDeps, chain: Chain): void {
  const { db } = deps.database;

  /** The subject of a block by hand, in the form in which requests are compared with it. */
  async function requireSubject(subject: { kind: BlockRow['subjectKind']; id: string }, actor: string) {
    const { kind, id } = subject;
    if (kind === 'address') {
      const address = normalAddress(id);
      if (address === null)
        throwRefusal(refuse('INVALID', `subject.id: "${id.slice(0, 60)}" is no address.`));
      if (isLoopback(address))
        throwRefusal(
          refuse('FORBIDDEN', `${address} is this machine itself; nobody here could lift that block.`),
        );
      return { kind, id: address, address: null };
    }
    const isKnown = kind === 'key' ? (await getKey(db, id)) !== null : (await getPrincipal(db, id)) !== null;
    if (!isKnown) throwRefusal(refuse('NOT_FOUND', `There is no ${kind} ${id.slice(0, 60)}.`));
    if (id === actor)
      throwRefusal(refuse('FORBIDDEN', 'Blocking yourself is not possible; ask another admin.'));
    return { kind, id, address: null };
  }

  async function requireBlock(id: string): Promise<BlockRow> {
    return (await getBlock(db, id)) ?? throwRefusal(refuse('NOT_FOUND', `There is no block ${id}.`));
  }

  async function requireThreat(id: string): Promise<ThreatRow> {
    return (await getThreat(db, id)) ?? throwRefusal(refuse('NOT_FOUND', `There is no threat ${id}.`));
  }

  app.openapi(threatsRoute, async (c) => {
    const { limit, cursor, state } = c.req.valid('query');
    const rows = await listThreats(db, { state }, decodeCursor(cursor, timePlace), limit + 1);
    const page = cutPage(rows, limit, (row) => ({ at: row.lastAt.getTime(), id: row.id }));
    return c.json({ items: page.rows.map(threatView), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(closeRoute, async (c) => {
    const { id } = await requireThreat(c.req.valid('param').id);
    const outcome = await endThreat(db, {
      ...{ id, state: 'closed', reason: c.req.valid('json').reason },
      ...{ actor: c.get('principal').id, opKey: `threat.close:${newId('op')}` },
    });
    const threat = await requireThreat(id);
    if (outcome.status === 'unchanged')
      throwRefusal(refuse('CONFLICT', `Threat ${id} is already ${threat.state}.`, { state: threat.state }));
    return c.json(threatView(threat), 200);
  });

  app.openapi(blocksRoute, async (c) => {
    const { limit, cursor, inForce } = c.req.valid('query');
    const filter = { inForce: inForce === 'true' };
    const rows = await listBlocks(db, filter, decodeCursor(cursor, timePlace), limit + 1);
    const page = cutPage(rows, limit, (row) => ({ at: row.createdAt.getTime(), id: row.id }));
    const items = page.rows.map((row) => blockView(row, deps.now()));
    return c.json({ items, nextCursor: page.nextCursor }, 200);
  });

  app.openapi(placeRoute, async (c) => {
    const { subject, minutes, reason: why } = c.req.valid('json');
    const actor = c.get('principal').id;
    const id = newId('blk');
    const wanted = await requireSubject(subject, actor);
    await placeBlock(db, { id, subject: wanted, reason: why, forMs: minutes * minuteMs, actor });
    chain.settings.forget();
    return c.json(blockView(await requireBlock(id), deps.now()), 201);
  });

  app.openapi(liftRoute, async (c) => {
    const { id } = await requireBlock(c.req.valid('param').id);
    const outcome = await liftBlock(db, {
      ...{ id, reason: c.req.valid('json').reason },
      ...{ actor: c.get('principal').id, opKey: `block.lift:${newId('op')}` },
    });
    if (outcome.status === 'unchanged')
      throwRefusal(refuse('CONFLICT', `Block ${id} is over already; nothing was changed.`));
    chain.settings.forget();
    return c.json(blockView(await requireBlock(id), deps.now()), 200);
  });

  app.openapi(riskRoute, async (c) => {
    const { id } = c.req.valid('param');
    const signals = await riskSignals(db, id);
    if (signals === null) throwRefusal(refuse('NOT_FOUND', `There is no principal ${id}.`));
    const score = riskScore(signals);
    return c.json({ principalId: id, score, mayDecideHighRisk: score < highRiskScore, signals }, 200);
  });
}
