import { beforeAll, describe, expect, test } from 'vitest';
import {
  countRefused,
  getDecisionRequest,
  acknowledge,
  listOpenRequests,
  type NewDecisionRequest,
  refuseRequest,
  settleAccepted,
  storeDecisionRequest,
} from '../../db/decision-requests.ts';
import { recordDecision } from '../../db/decisions.ts';
import { newId } from '../../db/ids.ts';
import type { TaskRow } from '../../db/tasks.ts';
import { refuse } from '../../domain/refusal.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase(20);
  people = await createPeople(database);
});

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

async function open(id: string) {
  const row = await getDecisionRequest(database.db, id);
  if (row === null) throw new Error('no such request');
  return row;
}

const no = refuse('CONFLICT', 'too late');

describe('a request', () => {
  test('is on record and audited before any run hears of it', async () => {
    const task = await aTask(database, people);
    const id = await store(task);
    expect(await open(id)).toMatchObject({ state: 'open', outcome: null, action: 'approve' });
    const rows =
      await database.root`select actor, action from audit_entries where op_key = ${`request:${id}`}`;
    expect([...rows]).toEqual([{ actor: people.operator, action: 'request.approve' }]);
    const ticket = await store(task, { source: 'ticket' });
    const [issued] =
      await database.root`select action from audit_entries where op_key = ${`request:${ticket}`}`;
    expect(issued?.action).toBe('ticket.issue');
  });

  test('stored twice is one, with the same answer', async () => {
    const task = await aTask(database, people);
    const input: NewDecisionRequest = {
      id: newId('dec'),
      action: 'cancel',
      source: 'api',
      subjectId: task.id,
      approvalId: null,
      workflowId: task.workflowId,
      principalId: people.operator,
      digest: null,
      reason: 'x',
      expiresAt: new Date(),
    };
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => storeDecisionRequest(database.db, input)),
    );
    for (const answer of answers) expect(answer).toMatchObject({ result: { id: input.id, state: 'open' } });
    expect(answers.filter((answer) => answer.status === 'changed')).toHaveLength(1);
  });

  test('is settled once: of a refusal and a decision at once one counts', async () => {
    for (let round = 0; round < 10; round += 1) {
      const task = await aTask(database, people);
      const id = await store(task);
      const request = await open(id);
      const [outcome] = await Promise.all([
        recordDecision(database.db, {
          approvalId: task.approvalId,
          workflowId: task.workflowId,
          decision: 'approve',
          principalId: people.operator,
          digest: task.digest,
          reason: null,
          requestId: id,
          opKey: newId('op'),
        }),
        refuseRequest(database.db, request, no),
      ]);
      expect(await open(id)).toMatchObject({ state: outcome.accepted ? 'recorded' : 'refused' });
    }
  });

  test('that was refused stays refused, is audited once, and can decide nothing', async () => {
    const task = await aTask(database, people);
    const id = await store(task);
    const request = await open(id);
    await Promise.all(Array.from({ length: 4 }, () => refuseRequest(database.db, request, no)));
    await refuseRequest(database.db, request, refuse('LIMIT', 'other'));
    expect(await open(id)).toMatchObject({
      state: 'refused',
      outcome: { accepted: false, refused: 'CONFLICT', message: 'too late' },
    });
    const rows = await database.root`select outcome from audit_entries where op_key = ${`refused:${id}`}`;
    expect([...rows]).toEqual([{ outcome: 'refused' }]);
    const late = await recordDecision(database.db, {
      approvalId: task.approvalId,
      workflowId: task.workflowId,
      decision: 'approve',
      principalId: people.operator,
      digest: task.digest,
      reason: null,
      requestId: id,
      opKey: newId('op'),
    });
    expect(late).toMatchObject({ accepted: false, refused: 'CONFLICT' });
  });

  test('is sent again while it is open, was made over HTTP and has waited', async () => {
    const task = await aTask(database, people);
    const waiting = await store(task);
    const ticket = await store(task, { source: 'ticket' });
    const refused = await store(task);
    await refuseRequest(database.db, await open(refused), no);
    const listed = async (olderThanMs: number) =>
      (await listOpenRequests(database.db, olderThanMs, 1000)).map((row) => row.id);
    await eventually(() => listed(0)).toContain(waiting);
    expect(await listed(0)).not.toContain(ticket);
    expect(await listed(0)).not.toContain(refused);
    expect(await listed(3_600_000)).toEqual([]);
    expect(await listOpenRequests(database.db, 0, 1)).toHaveLength(1);
  });

  test('is sent again while its run may have lost the step that recorded it, and not once it was heard', async () => {
    const task = await aTask(database, people);
    const [lost, heard, ticket, pause] = await Promise.all([
      store(task),
      store(task),
      store(task, { source: 'ticket' }),
      store(task, { action: 'pause', approvalId: null, digest: null }),
    ]);
    for (const id of [lost, heard, ticket, pause]) await settleAccepted(database.db, id);
    await acknowledge(database.db, heard);
    const listed = async () => (await listOpenRequests(database.db, 0, 1000)).map((row) => row.id);
    await eventually(listed).toContain(lost);
    for (const id of [heard, ticket, pause]) expect(await listed()).not.toContain(id);
    await acknowledge(database.db, lost);
    expect(await listed()).not.toContain(lost);
    expect(await open(lost)).toMatchObject({ state: 'recorded' });
  });

  test('refusals are counted by run, person and kind', async () => {
    const task = await aTask(database, people);
    const count = (given: object) =>
      countRefused(database.db, {
        workflowId: task.workflowId,
        principalId: people.operator,
        action: 'approve',
        ...given,
      });
    expect(await count({})).toBe(0);
    await refuseRequest(database.db, await open(await store(task)), no);
    await refuseRequest(database.db, await open(await store(task)), no);
    await store(task);
    expect(await count({})).toBe(2);
    expect(await count({ action: 'reject' })).toBe(0);
    expect(await count({ principalId: people.admin })).toBe(0);
    expect(await count({ workflowId: 'task/other' })).toBe(0);
  });
});
