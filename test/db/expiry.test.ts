import { beforeAll, describe, expect, test, vi } from 'vitest';
import { getApproval } from '../../db/approvals.ts';
import { expireApproval, recordDecision } from '../../db/decisions.ts';
import { newId } from '../../db/ids.ts';
import { getTask, type TaskRow } from '../../db/tasks.ts';
import { createTestApi, keysOf } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
});

const setExpiry = (task: TaskRow, seconds: number) =>
  database.root`
    update approvals set expires_at = now() + make_interval(secs => ${seconds}) where id = ${task.approvalId}`;
const decide = (task: TaskRow) =>
  recordDecision(database.db, {
    ...{ approvalId: task.approvalId, workflowId: task.workflowId, digest: task.digest },
    ...{ decision: 'approve', principalId: people.admin, reason: 'it is good', requestId: null },
    opKey: newId('op'),
  });
const ask = (task: TaskRow, now: () => number) =>
  createTestApi(database, { now }).call('POST', `/v1/approvals/${task.approvalId}/decision`, {
    as: keys.admin,
    body: { decision: 'approve', digest: task.digest, reason: 'it is good' },
  });

describe('TRUST 4.16: a request that nobody decided in time', () => {
  test('is over by the clock of the database, whatever the clock of a process says', async () => {
    const task = await aTask(database, people);
    await setExpiry(task, -1);
    const slow = Date.now() - 86_400_000;
    const clock = vi.spyOn(Date, 'now').mockReturnValue(slow);
    try {
      expect(await ask(task, () => slow)).toMatchObject({ status: 410, body: { code: 'EXPIRED' } });
      expect(await decide(task)).toMatchObject({ accepted: false, refused: 'EXPIRED' });
    } finally {
      clock.mockRestore();
    }
    expect(await getTask(database.db, task.id)).toMatchObject({ state: 'pending-approval' });
  });

  test('is not over while the database says there is time', async () => {
    const task = await aTask(database, people);
    await setExpiry(task, 60);
    const clock = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 86_400_000);
    try {
      expect(
        await expireApproval(database.db, { approvalId: task.approvalId, opKey: newId('op') }),
      ).toMatchObject({
        expired: false,
      });
      expect(await decide(task)).toMatchObject({ accepted: true, state: 'approved' });
    } finally {
      clock.mockRestore();
    }
  });

  test('counts as rejected: the task ends, and no late approval brings it back', async () => {
    const task = await aTask(database, people);
    await setExpiry(task, -1);
    expect(await expireApproval(database.db, { approvalId: task.approvalId, opKey: newId('op') })).toEqual({
      expired: true,
    });
    expect(await decide(task)).toMatchObject({ accepted: false, refused: 'EXPIRED' });
    expect((await ask(task, Date.now)).status).toBe(410);
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({ state: 'expired', votes: [] });
    expect(await getTask(database.db, task.id)).toMatchObject({
      state: 'expired',
      endedAt: expect.any(Date),
    });
    const dispatched = await createTestApi(database).call('POST', `/v1/tasks/${task.id}/dispatch`, {
      as: keys.operator,
      body: {},
    });
    expect(dispatched.status).toBe(409);
  });
});
