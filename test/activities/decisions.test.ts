import { generateKeyPairSync, sign } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { createDecisionActivities } from '../../activities/decisions.ts';
import { createTaskActivities } from '../../activities/tasks.ts';
import { getApproval } from '../../db/approvals.ts';
import { type Database, openDatabase } from '../../db/client.ts';
import {
  getDecisionRequest,
  type NewDecisionRequest,
  storeDecisionRequest,
} from '../../db/decision-requests.ts';
import { newId } from '../../db/ids.ts';
import type { TaskRow } from '../../db/tasks.ts';
import type { ApprovalMessage } from '../../domain/approval.ts';
import { canonical } from '../../domain/json.ts';
import { type TicketClaims, ticketClaims } from '../../domain/ticket.ts';
import { aKey } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent, aTask } from '../support/factories.ts';
import { anApprovedTask, freshTask } from '../db/flow.ts';

let database: TestDatabase;
let people: People;
let agent: string;
const pair = generateKeyPairSync('ed25519');
const stranger = generateKeyPairSync('ed25519');

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  agent = await anAgent(database, people);
});

async function answered(
  task: TaskRow,
  message: ApprovalMessage,
  given: { raw?: boolean; opKey?: string; to?: string; begin?: boolean } = {},
) {
  const { recordDecision } = createDecisionActivities({
    database,
    ticketKey: pair.publicKey,
    acceptRawSignals: given.raw ?? false,
  });
  return recordDecision({
    message,
    workflowId: given.to ?? task.workflowId,
    opKey: given.opKey ?? newId('op'),
    beginTaskId: given.begin === true ? task.id : null,
  });
}

const record = async (...given: Parameters<typeof answered>) => (await answered(...given)).outcome;

async function store(task: TaskRow, given: Partial<NewDecisionRequest> = {}): Promise<string> {
  const id = newId('dec');
  await storeDecisionRequest(database.db, {
    id,
    action: 'approve',
    source: 'api',
    subjectId: task.id,
    approvalId: task.approvalId,
    workflowId: task.workflowId,
    principalId: people.operator,
    digest: task.digest,
    reason: null,
    expiresAt: null,
    ...given,
  });
  return id;
}

async function aTicket(task: TaskRow, given: Partial<TicketClaims> = {}, key = pair.privateKey) {
  const jti = await store(task, {
    source: 'ticket',
    ...(given.principalId === undefined ? {} : { principalId: given.principalId }),
  });
  const claims: TicketClaims = {
    jti,
    approvalId: task.approvalId,
    workflowId: task.workflowId,
    principalId: people.operator,
    decision: 'approve',
    digest: task.digest,
    reason: null,
    guidance: null,
    acknowledgedFindings: [],
    breakGlass: false,
    expiresAtMs: Date.now() + 60_000,
    ...given,
  };
  const text = Buffer.from(canonical(ticketClaims(claims)));
  return { jti, ticket: `${text.toString('base64url')}.${sign(null, text, key).toString('base64url')}` };
}

async function isUntouched(task: TaskRow): Promise<boolean> {
  const approval = await getApproval(database.db, task.approvalId);
  return approval?.state === 'open' && approval.votes.length === 0;
}

describe('a signal', () => {
  test('with a ticket decides, once', async () => {
    const task = await aTask(database, people);
    const { jti, ticket } = await aTicket(task);
    expect(await record(task, { ticket })).toMatchObject({ accepted: true, state: 'approved' });
    expect(await getDecisionRequest(database.db, jti)).toMatchObject({ state: 'recorded' });
    expect(await record(task, { ticket })).toMatchObject({ accepted: false, refused: 'CONFLICT' });
  });

  test('whose other fields say something else decides what its ticket says', async () => {
    const task = await aTask(database, people);
    const { ticket } = await aTicket(task, { decision: 'reject' });
    await record(task, { ticket, decision: 'approve', principalId: people.admin, approvalId: 'apr_other' });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({
      state: 'rejected',
      votes: [{ principalId: people.operator }],
    });
  });

  test.each<[string, (task: TaskRow) => Promise<ApprovalMessage>]>([
    ['nothing', async () => ({})],
    [
      'the right fields and no ticket',
      async (task) => ({
        approvalId: task.approvalId,
        decision: 'approve',
        principalId: people.operator,
        digest: task.digest,
      }),
    ],
    ['a ticket signed by somebody else', async (task) => aTicket(task, {}, stranger.privateKey)],
    ['an unsigned ticket', async (task) => ({ ticket: `${(await aTicket(task)).ticket.split('.')[0]}.` })],
    ['half a ticket', async (task) => ({ ticket: (await aTicket(task)).ticket.slice(0, -4) })],
    [
      'a ticket with a changed text',
      async (task) => {
        const { ticket } = await aTicket(task, { decision: 'reject' });
        const [text = '', signature = ''] = ticket.split('.');
        const changed = Buffer.from(text, 'base64url').toString().replace('reject', 'approve');
        return { ticket: `${Buffer.from(changed).toString('base64url')}.${signature}` };
      },
    ],
    ['a ticket for another run', async (task) => aTicket(task, { workflowId: 'task/other' })],
    ['an expired ticket', async (task) => aTicket(task, { expiresAtMs: Date.now() - 1 })],
    ['a ticket for older content', async (task) => aTicket(task, { digest: '0'.repeat(64) })],
    ['a ticket of the requester', async (task) => aTicket(task, { principalId: people.requester })],
    ['a ticket of an agent', async (task) => aTicket(task, { principalId: people.agent })],
    ['a ticket that is not on record', async (task) => aTicket(task, { jti: 'tkt_never' })],
    [
      'a signed text that is no ticket',
      async () => {
        const text = Buffer.from('{"approve":true}');
        return {
          ticket: `${text.toString('base64url')}.${sign(null, text, pair.privateKey).toString('base64url')}`,
        };
      },
    ],
    ['a request that was never made', async () => ({ requestId: 'dec_never' })],
    [
      'the request of another run',
      async (task) => ({ requestId: await store(task, { workflowId: 'task/other' }) }),
    ],
    ['a request to cancel', async (task) => ({ requestId: await store(task, { action: 'cancel' }) })],
    ['a ticket id as a request', async (task) => ({ requestId: (await aTicket(task)).jti })],
  ])('with %s decides nothing, and the refusal is audited', async (_what, message) => {
    const task = await aTask(database, people);
    const outcome = await record(task, await message(task));
    expect(outcome).toMatchObject({
      accepted: false,
      refused: expect.any(String),
      message: expect.any(String),
    });
    expect(await isUntouched(task)).toBe(true);
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'pending-approval' });
    const [row] = await database.root`
      select outcome from audit_entries where outcome = 'refused' order by chain_no desc limit 1`;
    expect(row?.outcome).toBe('refused');
  });

  test('that cannot even be read is refused and does not break the run', async () => {
    const task = await aTask(database, people);
    for (const message of [
      { ticket: '' },
      { ticket: '.' },
      { ticket: '\0' },
      { ticket: 'x'.repeat(10_000) },
      { requestId: "'; drop table tasks; --" },
      { requestId: 'a\0b' },
      { approvalId: { toString: 'x' }, ticket: 7 },
      { approvalId: 'a\0b' },
      { approvalId: 'x'.repeat(100_000) },
      null,
      'approve',
      [],
      JSON.parse(`{"note":${'['.repeat(50_000)}${']'.repeat(50_000)}}`) as object,
    ])
      expect(await record(task, message as unknown as ApprovalMessage)).toMatchObject({ accepted: false });
    expect(await isUntouched(task)).toBe(true);
  });

  test('without proof counts only where raw signals are accepted, and then the rule still holds', async () => {
    const task = await aTask(database, people);
    const say = (principalId: string) =>
      record(task, { approvalId: task.approvalId, decision: 'approve', principalId }, { raw: true });
    expect(await say(people.requester)).toMatchObject({ refused: 'FORBIDDEN' });
    expect(await say(people.agent)).toMatchObject({ refused: 'FORBIDDEN' });
    expect(await record(task, { decision: 'approve' }, { raw: true })).toMatchObject({ refused: 'INVALID' });
    const unclear = { approvalId: task.approvalId, decision: 'maybe', principalId: people.operator };
    expect(await record(task, unclear as ApprovalMessage, { raw: true })).toMatchObject({
      refused: 'INVALID',
    });
    expect(await say(people.operator)).toMatchObject({ accepted: true });
  });
});

describe('a ticket (TRUST 4.53)', () => {
  /** A worker as after a restart, or another process: it shares nothing with the first but the database. */
  function anotherWorker(other: Database) {
    return createDecisionActivities({ database: other, ticketKey: pair.publicKey, acceptRawSignals: false });
  }

  test('is good for one use, also by a worker that started since and by another process', async () => {
    const task = await aTask(database, people, { risk: 'high' });
    const { ticket } = await aTicket(task, { reason: 'checked' });
    expect(await record(task, { ticket })).toMatchObject({ accepted: true, state: 'open' });
    const other = openDatabase(database.url, { name: 'another', connections: 2 });
    try {
      for (const activities of [anotherWorker(database), anotherWorker(other)]) {
        const again = { message: { ticket }, workflowId: task.workflowId, beginTaskId: null };
        const { outcome } = await activities.recordDecision({ ...again, opKey: newId('op') });
        expect(outcome).toMatchObject({ accepted: false });
      }
    } finally {
      await other.close();
    }
    expect((await getApproval(database.db, task.approvalId))?.votes).toHaveLength(1);
  });

  test('used by many processes at the same moment decides once', async () => {
    const task = await aTask(database, people, { risk: 'high' });
    const { ticket } = await aTicket(task, { reason: 'checked' });
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => record(task, { ticket })));
    expect(outcomes.filter(({ accepted }) => accepted)).toHaveLength(1);
    expect((await getApproval(database.db, task.approvalId))?.votes).toHaveLength(1);
  });

  test('binds reason, guidance, findings and broken glass: what the signal says beside it does not count', async () => {
    const task = await aTask(database, people);
    const { ticket } = await aTicket(task, { decision: 'reject', reason: 'no', guidance: 'smaller' });
    await record(task, { ticket, reason: 'yes', guidance: 'larger', breakGlass: true });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({
      votes: [{ decision: 'reject', reason: 'no', guidance: 'smaller' }],
    });
    const high = await aTask(database, people, { risk: 'high' });
    const given = { principalId: people.breakGlass, breakGlass: true, reason: 'fire' };
    expect(await record(high, { ticket: (await aTicket(high, given)).ticket })).toMatchObject({
      state: 'open',
    });
    expect(await getApproval(database.db, high.approvalId)).toMatchObject({ votes: [{ breakGlass: true }] });
  });

  test('with a foreign signature is an alarm, once for each signal', async () => {
    const task = await aTask(database, people);
    const { ticket } = await aTicket(task, {}, stranger.privateKey);
    const opKey = newId('op');
    await record(task, { ticket }, { opKey });
    await record(task, { ticket }, { opKey });
    const alarms = () => database.root`
      select severity, payload from events where type = 'security.ticket.forged' and correlation_id = ${task.workflowId}`;
    expect([...(await alarms())]).toMatchObject([
      { severity: 'error', payload: { workflowId: task.workflowId } },
    ]);
    expect(JSON.stringify(await alarms())).not.toContain(ticket);
    await record(task, { ticket });
    expect(await alarms()).toHaveLength(2);
    const rows =
      await database.root`select from audit_entries where op_key = ${`${opKey}:refused`} and outcome = 'refused'`;
    expect(rows).toHaveLength(1);
  });

  test('that is merely late or for another run is refused without an alarm', async () => {
    const task = await aTask(database, people);
    await record(task, { ticket: (await aTicket(task, { expiresAtMs: Date.now() - 1 })).ticket });
    await record(task, {});
    const rows = await database.root`
      select from events where type = 'security.ticket.forged' and correlation_id = ${task.workflowId}`;
    expect(rows).toHaveLength(0);
  });
});

describe('an edit over HTTP', () => {
  const content = { payload: { url: 'http://127.0.0.1:9/' } };

  test('is done by what is on record, and answers the approval of the new content', async () => {
    const task = await aTask(database, people);
    const requestId = await store(task, { action: 'edit', content });
    const outcome = await record(task, { requestId, decision: 'edit' });
    const now = await freshTask(database, task.id);
    expect(outcome).toMatchObject({
      accepted: true,
      state: 'void',
      replacement: { approvalId: now.approvalId },
    });
    expect(now).toMatchObject({ ...content, editedBy: people.operator });
    expect(await getDecisionRequest(database.db, requestId)).toMatchObject({ state: 'recorded' });
    expect(await record(task, { requestId, decision: 'edit' })).toMatchObject({ accepted: false });
  });

  test('that the signal only claims changes nothing', async () => {
    const task = await aTask(database, people);
    const claimed = {
      decision: 'edit',
      approvalId: task.approvalId,
      principalId: people.operator,
      ...content,
    };
    for (const raw of [false, true])
      expect(await record(task, claimed as ApprovalMessage, { raw })).toMatchObject({ accepted: false });
    const approve = await store(task);
    await record(task, { requestId: approve, decision: 'edit' });
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'pending', payload: task.payload });
  });

  test('by a key that the requester issued since is refused, and settled as refused', async () => {
    const task = await aTask(database, people);
    const { id: keyId } = await aKey(database, people.operator);
    await database.root`update keys set issued_by = ${people.requester} where id = ${keyId}`;
    const requestId = await store(task, { action: 'edit', content, keyId });
    expect(await record(task, { requestId, decision: 'edit' })).toMatchObject({ refused: 'FORBIDDEN' });
    expect(await getDecisionRequest(database.db, requestId)).toMatchObject({ state: 'refused' });
  });
});

describe('a request over HTTP', () => {
  test('decides by what is on record, once, and a repetition is told the same', async () => {
    const task = await aTask(database, people);
    const requestId = await store(task);
    const opKey = newId('op');
    const first = await record(task, { requestId, decision: 'reject', principalId: people.admin }, { opKey });
    expect(first).toMatchObject({ accepted: true, state: 'approved' });
    expect(await record(task, { requestId }, { opKey })).toEqual(first);
    expect(await record(task, { requestId })).toMatchObject({ accepted: false });
  });

  test('that comes too late is settled as refused, with the reason', async () => {
    const task = await aTask(database, people);
    await record(task, { requestId: await store(task) });
    const late = await store(task, { principalId: people.admin, action: 'reject' });
    expect(await record(task, { requestId: late })).toMatchObject({ refused: 'CONFLICT' });
    expect(await getDecisionRequest(database.db, late)).toMatchObject({
      state: 'refused',
      outcome: { refused: 'CONFLICT' },
    });
  });
});

describe('asking for a dispatch or a cancellation', () => {
  const activities = () => createTaskActivities({ database });
  const begin = (task: TaskRow, requestId: string | null) =>
    activities().beginAttempt({
      taskId: task.id,
      workflowId: task.workflowId,
      requestId,
      opKey: newId('op'),
    });

  test('a recorded request of a permitted person dispatches, in their name', async () => {
    const task = await anApprovedTask(database, people, agent);
    const requestId = await store(task, { action: 'dispatch', approvalId: null, digest: null });
    expect(await begin(task, requestId)).toMatchObject({ dispatched: true });
    const [row] = await database.root`select dispatched_by from task_attempts where task_id = ${task.id}`;
    expect(row?.dispatched_by).toBe(people.operator);
  });

  test.each<[string, Partial<NewDecisionRequest>]>([
    ['meant something else', { action: 'cancel' }],
    ['meant another run', { workflowId: 'task/other' }],
    ['is of a viewer', { principalId: 'viewer' }],
    ['is of an agent', { principalId: 'agent' }],
    ['is of nobody', { principalId: 'prn_none' }],
  ])('a request that %s dispatches nothing', async (_what, given) => {
    const task = await anApprovedTask(database, people, agent);
    const who = given.principalId as keyof People | undefined;
    const requestId = await store(task, {
      action: 'dispatch',
      approvalId: null,
      ...given,
      ...(who === undefined ? {} : { principalId: people[who] ?? who }),
    });
    expect(await begin(task, requestId)).toMatchObject({ dispatched: false, refused: 'FORBIDDEN' });
    for (const unknown of ['dec_none', '', 'a\0b'])
      expect(await begin(task, unknown)).toMatchObject({ dispatched: false, refused: 'FORBIDDEN' });
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'pending' });
  });

  test('a person who lost the permission meanwhile dispatches nothing, and is told', async () => {
    const task = await anApprovedTask(database, people, agent);
    const requestId = await store(task, { action: 'dispatch', approvalId: null, principalId: people.admin });
    await database.root`update principals set status = 'disabled' where id = ${people.admin}`;
    expect(await begin(task, requestId)).toMatchObject({ refused: 'FORBIDDEN' });
    expect(await getDecisionRequest(database.db, requestId)).toMatchObject({ state: 'refused' });
    await database.root`update principals set status = 'active' where id = ${people.admin}`;
  });

  test('a dispatch that is refused settles its request with the reason', async () => {
    const task = await aTask(database, people);
    const requestId = await store(task, { action: 'dispatch', approvalId: null });
    expect(await begin(task, requestId)).toMatchObject({ refused: 'CONFLICT' });
    expect(await getDecisionRequest(database.db, requestId)).toMatchObject({
      state: 'refused',
      outcome: { refused: 'CONFLICT' },
    });
  });

  test('a cancellation is accepted in the name of who asked', async () => {
    const task = await aTask(database, people);
    const requestId = await store(task, { action: 'cancel', approvalId: null, reason: 'not needed' });
    const accept = (id: string) =>
      activities().acceptCancel({ taskId: task.id, workflowId: task.workflowId, requestId: id });
    expect(await accept(requestId)).toEqual({ actor: people.operator, reason: 'not needed' });
    for (const unknown of ['dec_none', 'a\0b'])
      expect(await accept(unknown)).toMatchObject({ refused: 'FORBIDDEN' });
  });
});

test('an approval that is at once the dispatch begins the attempt, and a repetition begins no second one', async () => {
  const agentId = await anAgent(database, people);
  const task = await aTask(database, people, {
    binding: { agentId, executor: 'temporal', configVersion: 1 },
  });
  const requestId = await store(task);
  const opKey = newId('op');
  const first = await answered(task, { requestId }, { begin: true, opKey });
  expect(first).toMatchObject({ outcome: { accepted: true }, begun: { dispatched: true, attempt: 1 } });
  expect(await answered(task, { requestId }, { begin: true, opKey })).toEqual(first);
});

test('a refused decision begins nothing', async () => {
  const task = await aTask(database, people);
  const requestId = await store(task, { principalId: people.requester });
  expect(await answered(task, { requestId }, { begin: true })).toMatchObject({
    outcome: { accepted: false },
    begun: null,
  });
});
