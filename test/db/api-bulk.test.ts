import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { getApproval } from '../../db/approvals.ts';
import { recordDecision } from '../../db/decisions.ts';
import { getDecisionRequest } from '../../db/decision-requests.ts';
import { newId } from '../../db/ids.ts';
import type { TaskRow } from '../../db/tasks.ts';
import type { RunAnswer, RunAsk } from '../../api/temporal.ts';
import { createTestApi, keysOf, type TestApi, type Untyped } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;

beforeAll(async () => {
  database = await openTestDatabase(16);
  people = await createPeople(database);
  keys = await keysOf(database, people);
});

/** A run that records what it is asked, as the real one does. */
async function runOf(ask: RunAsk): Promise<RunAnswer> {
  const request = await getDecisionRequest(database.db, ask.requestId);
  if (request === null || request.approvalId === null || request.digest === null)
    throw new Error('the request is not stored');
  const answer = await recordDecision(database.db, {
    ...{ approvalId: request.approvalId, workflowId: ask.workflowId, digest: request.digest },
    decision: request.action === 'approve' ? 'approve' : 'reject',
    ...{ principalId: request.principalId, reason: request.reason, requestId: request.id },
    opKey: `decision:${newId('op')}`,
  });
  return { answer };
}

beforeEach(() => {
  api = createTestApi(database);
  api.temporal.answer = runOf;
});

const bulk = (body: object, as = keys.operator) =>
  api.call('POST', '/v1/approvals/bulk-decision', { as, body });
const preview = (body: object, as = keys.operator) => bulk({ ...body, preview: true }, as);

/** A target of its own for each test, with some tasks. */
async function some(count: number, given: Parameters<typeof aTask>[2] = {}) {
  const target = `bulk-${newId('t')}`;
  const tasks: TaskRow[] = [];
  for (let made = 0; made < count; made += 1)
    tasks.push(await aTask(database, people, { target, title: `Bulk ${made}`, ...given }));
  return { target, tasks, ids: tasks.map(({ approvalId }) => approvalId) };
}
const stateOf = async (id: string) => (await getApproval(database.db, id))?.state;

describe('a bulk decision', () => {
  test('is shown first, changes nothing by that, and then decides exactly what was shown', async () => {
    const { target, tasks, ids } = await some(5);
    const wanted = { decision: 'approve', filter: { target } };
    const shown = await preview(wanted);
    expect(shown).toMatchObject({ status: 200, body: { preview: true, count: 5, more: false, leftOut: [] } });
    expect(shown.body.items).toMatchObject(
      tasks.map(({ approvalId, digest, title }) => ({
        ...{ id: approvalId, digest, title, target, risk: 'medium', whyNot: null },
      })),
    );
    expect(api.temporal.asked).toEqual([]);
    const done = await bulk({ ...wanted, reason: 'all fine', selection: shown.body.selection });
    expect(done).toMatchObject({
      status: 200,
      body: { preview: false, count: 5, accepted: 5, refused: 0, pending: 0 },
    });
    expect(done.body.results.map((result: Untyped) => [result.id, result.state])).toEqual(
      ids.map((id) => [id, 'approved']),
    );
    const votes = (await getApproval(database.db, ids[0] ?? ''))?.votes;
    expect(votes).toMatchObject([{ principalId: people.operator, reason: 'all fine' }]);
  });

  test('is refused when another approval appeared after the preview, and nothing is decided', async () => {
    const { target, ids } = await some(2);
    const wanted = { decision: 'reject', reason: 'no', filter: { target } };
    const { selection } = (await preview(wanted)).body;
    const newer = await aTask(database, people, { target });
    const answer = await bulk({ ...wanted, selection });
    expect(answer).toMatchObject({
      status: 412,
      body: { code: 'STALE', details: { appeared: [newer.approvalId], gone: [], changed: [] } },
    });
    for (const id of [...ids, newer.approvalId]) expect(await stateOf(id)).toBe('open');
    const [entry] = await database.root`
      select actor, outcome from audit_entries where action = 'approval.bulk-reject' order by chain_no desc limit 1`;
    expect(entry).toEqual({ actor: people.operator, outcome: 'refused' });
  });

  test('is refused when one of them was decided or changed in between', async () => {
    const { target, ids } = await some(3);
    const wanted = { decision: 'approve', filter: { target } };
    const { selection } = (await preview(wanted)).body;
    await database.root`update approvals set state = 'rejected' where id = ${ids[0] ?? ''}`;
    await database.root`update approvals set digest = repeat('f', 64) where id = ${ids[1] ?? ''}`;
    expect(await bulk({ ...wanted, selection })).toMatchObject({
      status: 412,
      body: { details: { appeared: [], gone: [ids[0]], changed: [ids[1]] } },
    });
    expect(await stateOf(ids[2] ?? '')).toBe('open');
  });

  test('cannot be repeated: what was decided has left the selection', async () => {
    const { target, ids } = await some(2);
    const wanted = { decision: 'approve', filter: { target } };
    const { selection } = (await preview(wanted)).body;
    expect(await bulk({ ...wanted, selection })).toMatchObject({ status: 200 });
    expect(await bulk({ ...wanted, selection })).toMatchObject({
      status: 412,
      body: { details: { gone: ids } },
    });
  });

  test('leaves out what is excepted', async () => {
    const { target, ids } = await some(3);
    const wanted = { decision: 'approve', filter: { target }, except: [ids[1]] };
    const shown = await preview(wanted);
    expect(shown.body.items.map(({ id }: Untyped) => id)).toEqual([ids[0], ids[2]]);
    await bulk({ ...wanted, selection: shown.body.selection });
    expect(await stateOf(ids[1] ?? '')).toBe('open');
  });

  test('of a filter leaves out what the caller may not decide, and says why', async () => {
    const { target } = await some(1);
    const own = await aTask(database, people, { target, requestedBy: people.operator });
    const { body } = await preview({ decision: 'approve', filter: { target } });
    expect(body.count).toBe(1);
    expect(body.leftOut).toMatchObject([{ id: own.approvalId, why: expect.stringMatching(/four-eyes/) }]);
  });

  test('never approves high risk by a filter, only by its id; rejecting it is open to both', async () => {
    const { target, ids } = await some(1, { risk: 'high' });
    const byFilter = await preview({ decision: 'approve', filter: { target } });
    expect(byFilter.body).toMatchObject({
      count: 0,
      leftOut: [{ id: ids[0], why: expect.stringMatching(/high/) }],
    });
    expect((await preview({ decision: 'reject', filter: { target } })).body.count).toBe(1);
    const byId = { decision: 'approve', reason: 'looked at', ids };
    const { selection } = (await preview(byId)).body;
    const done = await bulk({ ...byId, selection });
    // The second person is still to come.
    expect(done.body.results).toMatchObject([{ id: ids[0], accepted: true, state: 'open' }]);
  });

  test('goes on after a refusal: each of them has its own result', async () => {
    const { ids } = await some(4);
    const own = await aTask(database, people, { requestedBy: people.operator, title: 'My own' });
    const faster = ids[2] ?? '';
    const wanted = { decision: 'approve', ids: [ids[0], own.approvalId, ids[1], faster, ids[3]] };
    const shown = await preview(wanted);
    expect(shown.body.count).toBe(5);
    const ownItem = shown.body.items.find(({ id }: Untyped) => id === own.approvalId);
    expect(ownItem.whyNot).toMatch(/four-eyes/);
    // Somebody else decides while the run is asked; one run does not answer at all.
    api.temporal.answer = async (ask) => {
      const request = await getDecisionRequest(database.db, ask.requestId);
      if (request?.approvalId === ids[3]) return { silent: 'unreachable' };
      if (request?.approvalId !== faster) return runOf(ask);
      await recordDecision(database.db, {
        ...{ approvalId: faster, workflowId: ask.workflowId, decision: 'reject', principalId: people.admin },
        ...{ digest: request.digest ?? '', reason: 'no', requestId: null, opKey: newId('op') },
      });
      return runOf(ask);
    };
    const { status, body } = await bulk({ ...wanted, selection: shown.body.selection });
    expect(status).toBe(200);
    expect(body).toMatchObject({ count: 5, accepted: 3, refused: 2, pending: 1 });
    const byId = new Map(body.results.map((result: Untyped) => [result.id, result]));
    expect(byId.get(ids[0])).toMatchObject({ accepted: true, state: 'approved', delivered: true });
    expect(byId.get(ids[1])).toMatchObject({ accepted: true, state: 'approved' });
    expect(byId.get(ids[3])).toMatchObject({ accepted: true, state: 'open', delivered: false });
    expect(byId.get(own.approvalId)).toMatchObject({ accepted: false, code: 'FORBIDDEN' });
    expect(byId.get(faster)).toMatchObject({ accepted: false, code: 'CONFLICT' });
  });

  test('names what ids cannot be decided at all', async () => {
    const { ids } = await some(2);
    await database.root`update approvals set state = 'expired' where id = ${ids[1] ?? ''}`;
    const { body } = await preview({ decision: 'approve', ids: [...ids, 'apr_unknown'] });
    expect(body.items.map(({ id }: Untyped) => id)).toEqual([ids[0]]);
    expect(body.leftOut).toMatchObject([
      { id: 'apr_unknown', why: expect.stringMatching(/no approval/) },
      { id: ids[1], why: expect.stringMatching(/already expired/) },
    ]);
  });

  test('takes two hundred at most, the oldest first, and says that there are more', async () => {
    const target = `bulk-${newId('t')}`;
    await database.root`
      insert into approvals (id, kind, subject_id, title, summary, risk, digest, target, type, policy_version, state,
                             requested_by, requested_by_person, required_approvals, workflow_id, expires_at, created_at,
                             rule)
      select 'apr_bulk' || lpad(n::text, 12, '0'), 'task', 'tsk_bulk' || n, 'Many', '{}', 'low', repeat('a', 64),
             ${target}, 'x.y', 2, 'open', ${people.requester}, ${people.requester}, 1, 'task/tsk_bulk' || n,
             now() + interval '1 day', now() - make_interval(secs => 1000 - n),
             (select rule from approvals where rule <> '{}'::jsonb and risk = 'medium' limit 1)
      from generate_series(1, 205) n`;
    const first = await preview({ decision: 'approve', filter: { target } });
    expect(first.body).toMatchObject({ count: 200, more: true });
    expect(first.body.items[0].id).toBe('apr_bulk000000000001');
    // What comes behind the two hundred changes nothing of what was shown.
    await aTask(database, people, { target });
    const again = await preview({ decision: 'approve', filter: { target } });
    expect(again.body.selection).toBe(first.body.selection);
    const refused = await preview({
      decision: 'approve',
      ids: Array.from({ length: 201 }, (_, n) => `apr_${n}`),
    });
    expect(refused).toMatchObject({ status: 400 });
  });

  test.each<[string, object, RegExp]>([
    ['neither filter nor ids', { decision: 'approve', preview: true }, /either filter or ids/],
    ['both', { decision: 'approve', preview: true, filter: {}, ids: ['apr_1'] }, /either filter or ids/],
    ['neither preview nor selection', { decision: 'approve', filter: {} }, /selection/],
    ['both of these', { decision: 'approve', filter: {}, preview: true, selection: 'x' }, /selection/],
    ['a selection nobody made', { decision: 'approve', filter: {}, selection: 'x' }, /preview/],
    [
      'guidance with an approval',
      { decision: 'approve', guidance: 'x', filter: {}, preview: true },
      /rejection/,
    ],
    ['an unknown filter', { decision: 'approve', filter: { colour: 'red' }, preview: true }, /colour/],
  ])('with %s is refused', async (_name, body, message) => {
    const answer = await bulk(body);
    expect(answer).toMatchObject({ status: 400, body: { code: 'INVALID' } });
    expect(answer.body.detail).toMatch(message);
  });

  test('is for those who may decide', async () => {
    for (const who of ['viewer', 'agent', 'breakGlass'] as const)
      expect(await preview({ decision: 'approve', filter: {} }, keys[who])).toMatchObject({ status: 403 });
  });
});

test('two people who decide the same selection at once decide each approval once', async () => {
  const { target, ids } = await some(12);
  const wanted = { decision: 'approve', filter: { target } };
  const shown = await Promise.all([preview(wanted), preview(wanted, keys.admin)]);
  const answers = await Promise.all([
    bulk({ ...wanted, selection: shown[0].body.selection }),
    bulk({ ...wanted, selection: shown[1].body.selection }, keys.admin),
  ]);
  for (const id of ids) {
    const row = await getApproval(database.db, id);
    expect(row).toMatchObject({ state: 'approved' });
    expect(row?.votes).toHaveLength(1);
  }
  const accepted = answers.flatMap(({ body }) =>
    ((body.results ?? []) as Untyped[]).filter((result) => result.accepted).map(({ id }) => id as string),
  );
  expect(accepted.sort()).toEqual([...ids].sort());
});
