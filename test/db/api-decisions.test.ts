import { verify } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RunAnswer, RunAsk } from '../../api/temporal.ts';
import { getApproval } from '../../db/approvals.ts';
import { getDecisionRequest } from '../../db/decision-requests.ts';
import { recordDecision } from '../../db/decisions.ts';
import { newId } from '../../db/ids.ts';
import { getTask } from '../../db/tasks.ts';
import { parseClaims } from '../../domain/ticket.ts';
import { createTestApi, keysOf, type TestApi, ticketPublicKey } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;

/** What the run does with an update: the one writer of decisions, on the real record. */
async function runOf(ask: RunAsk): Promise<RunAnswer> {
  if (ask.name !== 'decide') return { silent: 'not-found' };
  const request = await getDecisionRequest(database.db, ask.requestId);
  if (request === null || request.approvalId === null || request.digest === null)
    throw new Error('the request is not stored');
  const answer = await recordDecision(database.db, {
    approvalId: request.approvalId,
    workflowId: ask.workflowId,
    decision: request.action === 'approve' ? 'approve' : 'reject',
    principalId: request.principalId,
    digest: request.digest,
    reason: request.reason,
    requestId: request.id,
    opKey: `decision:${newId('op')}`,
  });
  return { answer };
}

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
});
beforeEach(() => {
  api = createTestApi(database);
  api.temporal.answer = runOf;
});

async function rowsOf(approvalId: string): Promise<{ requests: number; refused: number }> {
  const [row] = await database.root<{ requests: number; refused: number }[]>`
    select (select count(*)::int from decision_requests where approval_id = ${approvalId}) as requests,
           (select count(*)::int from audit_entries
            where subject_id = ${approvalId} and outcome = 'refused') as refused`;
  return row ?? { requests: 0, refused: 0 };
}

const decision = (id: string): string => `/v1/approvals/${id}/decision`;

describe('a decision', () => {
  test('by another person is recorded by the run, and the answer shows it', async () => {
    const task = await aTask(database, people);
    const { status, body } = await api.call('POST', decision(task.approvalId), {
      as: keys.operator,
      body: { decision: 'approve', digest: task.digest, reason: 'looks right' },
    });
    expect(status).toBe(200);
    expect(body.outcome).toMatchObject({ accepted: true, state: 'approved', votesLeft: 0 });
    expect(body.approval.votes).toMatchObject([{ principalId: people.operator, reason: 'looks right' }]);
    expect(body.approval.temporal.url).toBe(
      `http://127.0.0.1:8233/namespaces/default/workflows/task%2F${task.id}`,
    );
    expect(await getTask(database.db, task.id)).toMatchObject({ state: 'pending' });
    const [ask] = api.temporal.asked;
    expect(await getDecisionRequest(database.db, ask?.requestId ?? '')).toMatchObject({ state: 'recorded' });
  });

  test('of two people is needed for high risk, and the first is told how many are left', async () => {
    const task = await aTask(database, people, { risk: 'high' });
    const say = { decision: 'approve', digest: task.digest, reason: 'checked' };
    const first = await api.call('POST', decision(task.approvalId), { as: keys.operator, body: say });
    expect(first.body.outcome).toMatchObject({ state: 'open', votesLeft: 1 });
    const again = await api.call('POST', decision(task.approvalId), { as: keys.operator, body: say });
    expect(again).toMatchObject({ status: 409, body: { code: 'CONFLICT' } });
    const second = await api.call('POST', decision(task.approvalId), { as: keys.admin, body: say });
    expect(second.body.outcome).toMatchObject({ state: 'approved', votesLeft: 0 });
  });

  test.each([
    ['the requester', 'requester', 403, 'FORBIDDEN', 1],
    ['a viewer', 'viewer', 403, 'FORBIDDEN', 0],
    ['an agent', 'agent', 403, 'FORBIDDEN', 0],
  ] as const)('by %s is refused without asking the run', async (_who, key, status, code, refused) => {
    const task = await aTask(database, people);
    const body = { decision: 'approve', digest: task.digest };
    expect(await api.call('POST', decision(task.approvalId), { as: keys[key], body })).toMatchObject({
      status,
      body: { code },
    });
    expect(api.temporal.asked).toEqual([]);
    expect(await rowsOf(task.approvalId)).toEqual({ requests: 0, refused });
  });

  test('on content that has changed is stale and writes nothing', async () => {
    const task = await aTask(database, people);
    const body = { decision: 'approve', digest: 'f'.repeat(64) };
    const answer = await api.call('POST', decision(task.approvalId), { as: keys.operator, body });
    expect(answer).toMatchObject({
      status: 412,
      body: { code: 'STALE', details: { current: task.digest, yours: 'f'.repeat(64) } },
    });
    expect((await rowsOf(task.approvalId)).requests).toBe(0);
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({ state: 'open', votes: [] });
  });

  test('without the digest of what was seen is not valid', async () => {
    const task = await aTask(database, people);
    const answer = await api.call('POST', decision(task.approvalId), {
      as: keys.operator,
      body: { decision: 'approve' },
    });
    expect(answer).toMatchObject({ status: 400, body: { code: 'INVALID' } });
  });

  test('after the time is over is expired, not approved', async () => {
    const task = await aTask(database, people);
    await database.root`update approvals set expires_at = now() - interval '1 second' where id = ${task.approvalId}`;
    const body = { decision: 'approve', digest: task.digest };
    expect(await api.call('POST', decision(task.approvalId), { as: keys.operator, body })).toMatchObject({
      status: 410,
      body: { code: 'EXPIRED' },
    });
    expect(await getTask(database.db, task.id)).toMatchObject({ state: 'pending-approval' });
  });

  test('that comes second is told who was first and when', async () => {
    const task = await aTask(database, people);
    const say = (word: string) => ({ decision: word, digest: task.digest });
    await api.call('POST', decision(task.approvalId), { as: keys.operator, body: say('reject') });
    const late = await api.call('POST', decision(task.approvalId), { as: keys.admin, body: say('approve') });
    expect(late).toMatchObject({ status: 409, body: { code: 'CONFLICT', details: { state: 'rejected' } } });
    expect(late.body.details.decidedBy).toMatch(/^operator-/);
    expect(Date.parse(late.body.details.decidedAt)).toBeLessThanOrEqual(Date.now());
    expect(api.temporal.asked).toHaveLength(1);
  });

  test('on an unknown approval is a 404 like one on an id that cannot be', async () => {
    const body = { decision: 'approve', digest: 'f'.repeat(64) };
    for (const id of ['apr_unknown', 'no%20such', '%00', '..%2f..'])
      expect(await api.call('POST', decision(id), { as: keys.operator, body })).toMatchObject({
        status: 404,
        body: { code: 'NOT_FOUND' },
      });
  });

  test('is never made by a GET or a HEAD', async () => {
    const task = await aTask(database, people);
    for (const path of [decision(task.approvalId), `/v1/approvals/${task.approvalId}/tickets`])
      for (const method of ['GET', 'HEAD'])
        expect((await api.call(method, path, { as: keys.operator })).status).toBe(405);
    await api.call('GET', `/v1/approvals/${task.approvalId}?decision=approve`, { as: keys.operator });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({ state: 'open', votes: [] });
    expect(api.temporal.asked).toEqual([]);
  });
});

describe('a decision that the run does not answer', () => {
  const approve = async (approvalId: string, digest: string, as = keys.operator) =>
    api.call('POST', decision(approvalId), { as, body: { decision: 'approve', digest } });

  test.each(['not-found', 'rejected', 'unreachable'] as const)(
    'because it is %s is stored and delivered later',
    async (silent) => {
      api.temporal.answer = () => Promise.resolve({ silent });
      const task = await aTask(database, people);
      const { status, body } = await approve(task.approvalId, task.digest);
      expect(status).toBe(202);
      expect(body).toMatchObject({ status: 'accepted-for-delivery' });
      expect(await getDecisionRequest(database.db, body.requestId)).toMatchObject({
        state: 'open',
        source: 'api',
        action: 'approve',
      });
    },
  );

  test('is the same request when it is repeated', async () => {
    api.temporal.down = true;
    const task = await aTask(database, people);
    const first = await approve(task.approvalId, task.digest);
    const second = await approve(task.approvalId, task.digest);
    expect(second.body.requestId).toBe(first.body.requestId);
    expect((await rowsOf(task.approvalId)).requests).toBe(1);
    api.temporal.down = false;
    expect(await approve(task.approvalId, task.digest)).toMatchObject({ status: 200 });
  });

  test('but recorded it is answered as recorded', async () => {
    api.temporal.answer = async (ask) => {
      await runOf(ask);
      return { silent: 'unreachable' };
    };
    const task = await aTask(database, people);
    const { status, body } = await approve(task.approvalId, task.digest);
    expect(status).toBe(200);
    expect(body.outcome).toMatchObject({ accepted: true, state: 'approved' });
  });

  test('because somebody else was faster is told so, and its request is closed', async () => {
    const task = await aTask(database, people);
    api.temporal.answer = async (ask) => {
      await recordDecision(database.db, {
        approvalId: task.approvalId,
        workflowId: ask.workflowId,
        decision: 'reject',
        principalId: people.admin,
        digest: task.digest,
        reason: null,
        requestId: null,
        opKey: newId('op'),
      });
      return { silent: 'not-found' };
    };
    const late = await approve(task.approvalId, task.digest);
    expect(late).toMatchObject({ status: 409, body: { code: 'CONFLICT', details: { state: 'rejected' } } });
    const id = api.temporal.asked[0]?.requestId ?? '';
    expect(await getDecisionRequest(database.db, id)).toMatchObject({ state: 'refused' });
  });

  test('because Temporal paused it goes as a signal with the same payload', async () => {
    api.temporal.answer = () => Promise.resolve({ silent: 'paused' });
    const task = await aTask(database, people);
    const { status, body } = await approve(task.approvalId, task.digest);
    expect(status).toBe(202);
    expect(api.temporal.signalled).toMatchObject([
      { workflowId: task.workflowId, message: { requestId: body.requestId, approvalId: task.approvalId } },
    ]);
  });

  test('and refuses is a problem with the code of the run', async () => {
    api.temporal.answer = () =>
      Promise.resolve({ answer: { accepted: false, refused: 'STALE', message: 'it moved' } });
    const task = await aTask(database, people);
    expect(await approve(task.approvalId, task.digest)).toMatchObject({
      status: 412,
      body: { code: 'STALE', detail: 'it moved' },
    });
  });
});

describe('a ticket', () => {
  const ticketOf = (task: { approvalId: string }, as: string, body: object) =>
    api.call('POST', `/v1/approvals/${task.approvalId}/tickets`, { as, body });

  test('binds approval, run, person, decision, content and expiry, and is on record', async () => {
    const task = await aTask(database, people);
    const { status, body } = await ticketOf(task, keys.operator, {
      decision: 'approve',
      reason: 'by signal',
    });
    expect(status).toBe(201);
    const [text = '', signature = ''] = body.ticket.split('.');
    const signed = Buffer.from(text, 'base64url');
    expect(verify(null, signed, ticketPublicKey, Buffer.from(signature, 'base64url'))).toBe(true);
    const claims = parseClaims(signed.toString());
    expect(claims).toMatchObject({
      approvalId: task.approvalId,
      workflowId: task.workflowId,
      principalId: people.operator,
      decision: 'approve',
      digest: task.digest,
      reason: 'by signal',
    });
    expect(claims?.expiresAtMs).toBe(Date.parse(body.expiresAt));
    expect(await getDecisionRequest(database.db, claims?.jti ?? '')).toMatchObject({
      source: 'ticket',
      state: 'open',
    });
    expect(body.signal).toEqual({ name: 'approval', input: { ticket: body.ticket } });
    expect(body.command).toContain(`--workflow-id task/${task.id} --name approval --input '{"ticket":`);
    expect(api.temporal.asked).toEqual([]);
  });

  test('is not given to the requester, nor for content that has changed', async () => {
    const task = await aTask(database, people);
    expect(await ticketOf(task, keys.requester, { decision: 'approve' })).toMatchObject({ status: 403 });
    expect(
      await ticketOf(task, keys.operator, { decision: 'approve', digest: 'f'.repeat(64) }),
    ).toMatchObject({ status: 412, body: { code: 'STALE' } });
    expect((await rowsOf(task.approvalId)).requests).toBe(0);
  });
});

describe('the inbox', () => {
  test('shows to each caller what they may do, and why not', async () => {
    const task = await aTask(database, people, { target: 'probe:inbox' });
    const itemFor = async (as: string) => {
      const { body } = await api.call('GET', '/v1/approvals?limit=200', { as });
      return body.items.find((item: { id: string }) => item.id === task.approvalId);
    };
    expect(await itemFor(keys.operator)).toMatchObject({
      allowedActions: ['approve', 'reject'],
      whyNot: null,
      requestedBy: { id: people.requester, name: expect.stringMatching(/^requester-/) },
      digest: task.digest,
      state: 'open',
    });
    expect(await itemFor(keys.requester)).toMatchObject({
      allowedActions: [],
      whyNot: expect.stringContaining('four-eyes'),
    });
    expect(await itemFor(keys.viewer)).toMatchObject({ allowedActions: [] });
  });

  test('pages through every open approval once, the oldest first', async () => {
    for (let made = 0; made < 5; made += 1) await aTask(database, people);
    const seen: { id: string; createdAt: string }[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const { body } = await api.call('GET', `/v1/approvals?limit=2${query}`, { as: keys.viewer });
      seen.push(...body.items);
      cursor = body.nextCursor;
    }
    const [open] = await database.root`select count(*)::int as n from approvals where state = 'open'`;
    expect(new Set(seen.map((item) => item.id)).size).toBe(open?.n);
    const times = seen.map((item) => item.createdAt);
    expect(times).toEqual([...times].sort());
  });

  test('cuts a large payload with a mark, and shows it whole on its own', async () => {
    const task = await aTask(database, people, { payload: { text: 'x'.repeat(10_000) } });
    const list = await api.call('GET', '/v1/approvals?limit=200', { as: keys.operator });
    const item = list.body.items.find((each: { id: string }) => each.id === task.approvalId);
    expect(item.summary.payload.omitted).toMatch(/^10\d\d\d bytes/);
    const one = await api.call('GET', `/v1/approvals/${task.approvalId}`, { as: keys.operator });
    expect(one.body.summary.payload.text).toHaveLength(10_000);
  });
});
