import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDecisionActivities } from '../../activities/decisions.ts';
import type { RunAnswer, RunAsk } from '../../api/temporal.ts';
import { getApproval } from '../../db/approvals.ts';
import { getDecisionRequest } from '../../db/decision-requests.ts';
import { newId } from '../../db/ids.ts';
import { createTestApi, keysOf, type TestApi, ticketPublicKey } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';
import { aRuleFor, freshTask } from './flow.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;

/** What the run does with an update, by the activity that it calls. */
async function runOf(ask: RunAsk): Promise<RunAnswer> {
  if (ask.name !== 'decide') return { silent: 'not-found' };
  const { recordDecision } = createDecisionActivities({
    ...{ database, ticketKey: ticketPublicKey, acceptRawSignals: false },
  });
  const { message, workflowId } = ask;
  const { outcome } = await recordDecision({ message, workflowId, opKey: newId('op'), beginTaskId: null });
  return { answer: outcome };
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

const path = (task: { approvalId: string }, what: string) => `/v1/approvals/${task.approvalId}/${what}`;
const payload = { url: 'http://127.0.0.1:3/' };

describe('POST /v1/approvals/{id}/edit', () => {
  test('answers the approval of the new content, which its author cannot approve and the requester can', async () => {
    const task = await aTask(database, people);
    const edited = await api.call('POST', path(task, 'edit'), {
      ...{ as: keys.operator, body: { digest: task.digest, payload, reason: 'wrong port' } },
    });
    const now = await freshTask(database, task.id);
    expect(edited).toMatchObject({
      status: 200,
      body: {
        replaces: task.approvalId,
        approval: { id: now.approvalId, state: 'open', summary: { payload } },
      },
    });
    const say = (as: string) =>
      api.call('POST', path(now, 'decision'), { as, body: { decision: 'approve', digest: now.digest } });
    expect(await say(keys.operator)).toMatchObject({ status: 403 });
    expect(await say(keys.requester)).toMatchObject({
      status: 200,
      body: { outcome: { state: 'approved' } },
    });
  });

  test('is stored and delivered later when the run does not answer; another edit is another request', async () => {
    api.temporal.down = true;
    const task = await aTask(database, people);
    const edit = (title: string) =>
      api.call('POST', path(task, 'edit'), { as: keys.operator, body: { digest: task.digest, title } });
    const [one, again, two] = [await edit('one'), await edit('one'), await edit('two')];
    expect(one.status).toBe(202);
    expect(again.body.requestId).toBe(one.body.requestId);
    expect(two.body.requestId).not.toBe(one.body.requestId);
    expect(await getDecisionRequest(database.db, one.body.requestId)).toMatchObject({
      ...{ action: 'edit', state: 'open', content: { title: 'one' }, keyId: expect.any(String) },
    });
  });

  test.each<[string, object, number]>([
    ['without a change', {}, 400],
    ['of a target', { target: 'probe:other' }, 400],
    ['of who asked', { requestedBy: 'prn_x' }, 400],
    ['of the risk', { risk: 'low' }, 400],
    ['with a title of two lines', { title: 'a\nb' }, 400],
    ['with no time for the agent', { timeoutMs: 1 }, 400],
  ])('%s is not valid, and changes nothing', async (_what, change, status) => {
    const task = await aTask(database, people);
    const body = { digest: task.digest, ...change };
    expect(await api.call('POST', path(task, 'edit'), { as: keys.operator, body })).toMatchObject({ status });
    expect(await freshTask(database, task.id)).toMatchObject({ approvals: 1, digest: task.digest });
    expect(api.temporal.asked).toEqual([]);
  });

  test('by the requester, a viewer, or on content that changed is refused and audited', async () => {
    const task = await aTask(database, people);
    const edit = (as: string, digest = task.digest) =>
      api.call('POST', path(task, 'edit'), { as, body: { digest, payload } });
    expect(await edit(keys.requester)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
    expect(await edit(keys.viewer)).toMatchObject({ status: 403 });
    expect(await edit(keys.operator, 'f'.repeat(64))).toMatchObject({ status: 412 });
    const rows = await database.root`
      select action from audit_entries where subject_id = ${task.approvalId} and outcome = 'refused'`;
    expect(rows.map(({ action }) => action as string)).toEqual(['approval.edit', 'approval.edit']);
  });
});

describe('POST /v1/approvals/{id}/hand-over', () => {
  test('lets the named person vote and shows it; the giver has no vote left', async () => {
    const target = `probe:${newId('x')}`;
    const stages = [{ approvals: 1, approvers: { roles: ['admin'], groups: [] } }];
    await aRuleFor(database, target, { stages });
    const task = await aTask(database, people, { target });
    const body = { decision: 'approve', digest: task.digest };
    const refused = await api.call('POST', path(task, 'decision'), { as: keys.operator, body });
    expect(refused).toMatchObject({ status: 403, body: { detail: expect.stringContaining('role admin') } });
    const given = await api.call('POST', path(task, 'hand-over'), {
      ...{ as: keys.admin, body: { to: people.operator, reason: 'away' } },
    });
    expect(given).toMatchObject({
      status: 200,
      body: { approval: { handovers: [{ from: people.admin, to: people.operator, reason: 'away' }] } },
    });
    expect(await api.call('POST', path(task, 'decision'), { as: keys.admin, body })).toMatchObject({
      status: 409,
    });
    expect(await api.call('POST', path(task, 'decision'), { as: keys.operator, body })).toMatchObject({
      status: 200,
    });
  });

  test('to nobody, to the requester, or of an unknown approval is refused and audited', async () => {
    const task = await aTask(database, people);
    const give = (to: string, id = task.approvalId) =>
      api.call('POST', `/v1/approvals/${id}/hand-over`, { as: keys.admin, body: { to } });
    expect(await give('nobody')).toMatchObject({ status: 400 });
    expect(await give(people.requester)).toMatchObject({ status: 403 });
    expect(await give(people.operator, 'apr_unknown')).toMatchObject({ status: 404 });
    const rows = await database.root`
      select from audit_entries where action = 'approval.hand-over' and subject_id = ${task.approvalId} and outcome = 'refused'`;
    expect(rows).toHaveLength(2);
  });
});

describe('a decision', () => {
  const say = (task: { approvalId: string; digest: string }, as: string, more: object = {}) =>
    api.call('POST', path(task, 'decision'), {
      ...{ as, body: { decision: 'approve', digest: task.digest, ...more } },
    });

  test('that breaks the glass is open to that role, needs a reason, and is not the same as one that does not', async () => {
    const task = await aTask(database, people);
    expect(await say(task, keys.breakGlass)).toMatchObject({ status: 403 });
    expect(await say(task, keys.breakGlass, { breakGlass: true })).toMatchObject({ status: 400 });
    const first = await say(task, keys.breakGlass, { breakGlass: true, reason: 'fire' });
    expect(first).toMatchObject({ status: 200, body: { outcome: { state: 'open', votesLeft: 1 } } });
    expect(first.body.approval.rule).toMatchObject({ glassBroken: 1, votesLeft: 1 });
    const mixed = { breakGlass: true, decision: 'reject', reason: 'x' };
    expect(await say(task, keys.breakGlass, mixed)).toMatchObject({ status: 400 });
  });

  test('with guidance shows it; guidance goes with a rejection only', async () => {
    const task = await aTask(database, people);
    expect(await say(task, keys.operator, { guidance: 'smaller' })).toMatchObject({ status: 400 });
    const said = await say(task, keys.operator, { decision: 'reject', guidance: 'smaller' });
    expect(said).toMatchObject({
      status: 200,
      body: { approval: { guidance: 'smaller', state: 'rejected' } },
    });
  });

  test('by a key that the requester issued after asking is refused before the run is asked (TRUST 4.11)', async () => {
    const task = await aTask(database, people);
    const { operator } = await keysOf(database, { operator: people.operator });
    await database.root`
      update keys set issued_by = ${people.requester} where principal_id = ${people.operator} and created_at >= ${task.createdAt}`;
    expect(await say(task, operator)).toMatchObject({
      status: 403,
      body: { detail: expect.stringContaining('key') },
    });
    expect(await say(task, keys.operator)).toMatchObject({ status: 200 });
  });

  test('shows where its rule is: policy, stage, who may, and what is left', async () => {
    const target = `probe:${newId('x')}`;
    const stages = [
      { approvals: 1, approvers: { roles: ['operator'], groups: [] } },
      { approvals: 1, approvers: { roles: ['admin'], groups: ['sre'] } },
    ];
    await aRuleFor(database, target, { stages });
    const task = await aTask(database, people, { target });
    const said = await say(task, keys.operator);
    expect(said.body).toMatchObject({
      outcome: { state: 'open', votesLeft: 1 },
      approval: {
        rule: {
          policyId: expect.stringMatching(/^pol_/),
          stage: {
            number: 2,
            of: 2,
            approvals: 1,
            given: 0,
            approvers: { roles: ['admin'], groups: ['sre'] },
          },
        },
      },
    });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({ state: 'open' });
  });
});
