import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { joinOpenTask } from '../../api/task-fold.ts';
import { appendEvents } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import { cancelTask } from '../../db/task-end.ts';
import { attachEvidence } from '../../db/task-fold.ts';
import { getTask } from '../../db/tasks.ts';
import { aKey, createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent, aNewTask } from '../support/factories.ts';
import { approve } from './flow.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;

beforeAll(async () => {
  database = await openTestDatabase(24);
  people = await createPeople(database);
  keys = await keysOf(database, people);
  await anAgent(database, people);
});
beforeEach(() => {
  api = createTestApi(database);
});

async function someEvents(count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => newId('evt'));
  await appendEvents(
    database.log,
    ids.map((id) => ({
      ...{ id, type: 'test.seen', source: { type: 'api' as const, id: 'x' }, severity: 'info' as const },
      ...{ payload: {}, metadata: {} },
    })),
  );
  return ids;
}

const proposal = {
  type: 'repair.api.endpoint',
  title: 'Repair the shop',
  target: 'shop',
  targetRole: 'DeployKeeper',
  payload: { url: 'http://127.0.0.1:1/' },
};
const propose = (given: object = {}, as = keys.requester, headers: Record<string, string> = {}) =>
  api.call('POST', '/v1/tasks', { as, body: { ...proposal, ...given }, headers });

const tasksOf = async (fingerprint: string) =>
  database.root`
    select t.id, t.state, t.evidence, t.evidence_count, t.folded, t.folded_risk,
           (select count(*)::int from approvals a where a.subject_id = t.id) as approvals
    from tasks t where fingerprint = ${fingerprint} order by created_at`;

describe('a proposal whose fingerprint has an open task', () => {
  test('joins it with its evidence, audited as theirs, and opens no second approval', async () => {
    const fingerprint = newId('fp');
    const [one = '', two = '', three = ''] = await someEvents(3);
    const first = await propose({ fingerprint, evidence: [one] });
    expect(first).toMatchObject({ status: 201, body: { folded: false, differs: [], evidence: [one] } });
    const second = await propose({ fingerprint, evidence: [two, one, three] }, keys.admin);
    expect(second).toMatchObject({
      status: 200,
      body: { id: first.body.id, folded: true, differs: [], evidence: [two, one, three], evidenceCount: 3 },
    });
    expect(await tasksOf(fingerprint)).toMatchObject([{ folded: 1, folded_risk: null, approvals: 1 }]);
    const [entry] = await database.root`
      select actor, body::jsonb -> 'detail' as detail from audit_entries
      where subject_id = ${first.body.id} and action = 'task.fold'`;
    expect(entry).toMatchObject({
      actor: people.admin,
      detail: { evidence: [two, one, three], risk: 'medium', differs: [] },
    });
  });

  test('and another content does not replace it, and says what differs to both sides', async () => {
    const fingerprint = newId('fp');
    const first = await propose({ fingerprint });
    const second = await propose(
      { fingerprint, risk: 'high', payload: { url: 'http://bank/' } },
      keys.operator,
    );
    expect(second).toMatchObject({
      status: 200,
      body: { id: first.body.id, risk: 'medium', digest: first.body.digest, payload: proposal.payload },
    });
    expect(second.body.differs).toEqual([
      { member: 'risk', open: '"medium"', proposed: '"high"' },
      { member: 'payload.url', open: '"http://127.0.0.1:1/"', proposed: '"http://bank/"' },
    ]);
    const logs = await api.call('GET', `/v1/tasks/${first.body.id}/logs`, { as: keys.viewer });
    expect(logs.body.items).toMatchObject([
      { level: 'warning', message: expect.stringContaining('theirs has "high"') },
    ]);
    await propose({ fingerprint, risk: 'low' });
    expect(await tasksOf(fingerprint)).toMatchObject([{ folded: 2, folded_risk: 'high' }]);
    const { body } = await api.call('GET', `/v1/approvals/${first.body.approvalId}`, { as: keys.viewer });
    expect(body).toMatchObject({ risk: 'medium', groupSize: 3, riskProposedLater: 'high' });
  });

  test('is one of thirty-two at the same time: one task is open and all evidence is kept', async () => {
    const fingerprint = newId('fp');
    const ids = await someEvents(32);
    const answers = await Promise.all(ids.map((id) => propose({ fingerprint, evidence: [id] })));
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array<number>(31).fill(200), 201]);
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    const rows = await tasksOf(fingerprint);
    expect(rows).toMatchObject([{ folded: 31, evidence_count: 32, approvals: 1 }]);
    expect([...(rows[0]?.evidence as string[])].sort()).toEqual([...ids].sort());
    const [audit] = await database.root`
      select count(*)::int as folds from audit_entries
      where action = 'task.fold' and subject_id = ${answers[0]?.body.id}`;
    expect(audit?.folds).toBe(31);
  });

  test('is answered by the one decision on the open one, after which a new one opens', async () => {
    const fingerprint = newId('fp');
    const first = await propose({ fingerprint });
    await propose({ fingerprint }, keys.admin);
    const task = await getTask(database.db, first.body.id);
    if (task === null) throw new Error('the task is gone');
    await approve(database, people, task);
    expect(await propose({ fingerprint }, keys.admin)).toMatchObject({
      status: 200,
      body: { id: task.id, state: 'pending', folded: true },
    });
    await cancelTask(database.db, {
      ...{ taskId: task.id, opKey: newId('op'), requestId: null, actor: people.operator, reason: null },
    });
    const next = await propose({ fingerprint });
    expect(next).toMatchObject({ status: 201, body: { folded: false } });
    expect(next.body.id).not.toBe(task.id);
  });

  test('with an Idempotency-Key is the same answer again, also once the task has ended', async () => {
    const fingerprint = newId('fp');
    const [event = ''] = await someEvents(1);
    const first = await propose({ fingerprint });
    const headers = { 'idempotency-key': newId('key') };
    const given = { fingerprint, risk: 'high', evidence: [event] };
    const joined = await propose(given, keys.operator, headers);
    const again = await propose(given, keys.operator, headers);
    expect(again).toMatchObject({
      status: 200,
      body: { id: first.body.id, folded: true, differs: joined.body.differs, evidenceCount: 1 },
    });
    expect(await tasksOf(fingerprint)).toMatchObject([{ folded: 1 }]);
    expect(await propose({ ...given, title: 'Another' }, keys.operator, headers)).toMatchObject({
      status: 409,
    });
    // The stored answer is gone; the task itself still knows its key.
    await database.root`delete from idempotency_keys`;
    await database.root`update tasks set state = 'cancelled', ended_at = now() where id = ${first.body.id}`;
    expect(await propose(given, keys.operator, headers)).toMatchObject({
      status: 200,
      body: { id: first.body.id, state: 'cancelled', folded: true },
    });
    expect(await tasksOf(fingerprint)).toHaveLength(1);
  });

  test('for a target out of reach of who proposes is a conflict that shows nothing of it', async () => {
    const fingerprint = newId('fp');
    const first = await propose({ fingerprint, target: 'bank' });
    const refusal = await joinOpenTask(database.db, {
      task: aNewTask(people, { fingerprint, target: 'shop' }),
      principal: {
        ...{ id: people.operator, kind: 'human', name: 'o', role: 'shop-only', person: people.operator },
        permissions: ['tasks:write@shop'],
      },
      ...{ requestDigest: 'd', opKey: newId('op') },
    });
    expect(refusal).toMatchObject({ refused: 'CONFLICT' });
    expect(JSON.stringify(refusal)).not.toContain(first.body.id);
    expect(await tasksOf(fingerprint)).toMatchObject([{ folded: 0 }]);
  });
});

test('evidence that the log never had is refused by name, and nothing is stored', async () => {
  const fingerprint = newId('fp');
  const answer = await propose({ fingerprint, evidence: ['evt_nobody_sent'] });
  expect(answer).toMatchObject({
    status: 400,
    body: { code: 'INVALID', details: { missing: ['evt_nobody_sent'] } },
  });
  expect(await tasksOf(fingerprint)).toEqual([]);
});

test('what HALO finds again counts as one more of the group', async () => {
  const fingerprint = newId('fp');
  await propose({ fingerprint });
  await attachEvidence(database.db, { fingerprint, evidence: [], cycleId: newId('cyc'), risk: 'high' });
  expect(await tasksOf(fingerprint)).toMatchObject([{ folded: 1, folded_risk: 'high' }]);
});

test('an agent joins as itself', async () => {
  const fingerprint = newId('fp');
  const first = await propose({ fingerprint });
  const { key } = await aKey(database, people.agent);
  expect(await propose({ fingerprint }, key)).toMatchObject({ status: 200, body: { id: first.body.id } });
});
