import { beforeAll, describe, expect, test } from 'vitest';
import { createHaloActivities } from '../../activities/halo.ts';
import {
  getDecisionRequest,
  type NewDecisionRequest,
  storeDecisionRequest,
} from '../../db/decision-requests.ts';
import { newId } from '../../db/ids.ts';
import { defaultHaloLimits } from '../../domain/halo-loop.ts';
import { haloWorkflowId } from '../../domain/names.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
});

async function aRequest(given: Partial<NewDecisionRequest> = {}): Promise<string> {
  const id = newId('dec');
  await storeDecisionRequest(database.db, {
    ...{ id, action: 'pause', source: 'api', subjectId: 'halo', workflowId: haloWorkflowId },
    ...{ approvalId: null, principalId: people.operator, digest: null, reason: null, expiresAt: null },
    ...given,
  });
  return id;
}

function record(requestId: string | null, paused = true, opKey = newId('op')) {
  const { recordPause } = createHaloActivities({ database, limits: defaultHaloLimits });
  return recordPause({ paused, requestId, opKey });
}

async function told(): Promise<number> {
  const [row] = await database.root<{ count: number }[]>`
    select count(*)::int as count from events where source_id = 'halo'`;
  return row?.count ?? 0;
}

describe('a pause', () => {
  test('is recorded with who asked for it, once for one operation', async () => {
    const [requestId, opKey] = [await aRequest(), newId('op')];
    for (let round = 0; round < 2; round += 1) expect(await record(requestId, true, opKey)).toBeNull();
    const resume = await aRequest({ action: 'resume', principalId: people.admin });
    expect(await record(resume, false)).toBeNull();
    const rows = await database.root`
      select type, severity, payload from events where source_id = 'halo' order by events.tx, events.seq`;
    expect([...rows]).toEqual([
      { type: 'halo.loop.paused', severity: 'warning', payload: { by: people.operator } },
      { type: 'halo.loop.resumed', severity: 'info', payload: { by: people.admin } },
    ]);
    expect((await getDecisionRequest(database.db, requestId))?.state).toBe('recorded');
  });

  test.each<[string, () => Promise<string | null>]>([
    ['without a request', () => Promise.resolve(null)],
    ['with a request that is not on record', () => Promise.resolve('dec_made_up')],
    ['with a request to resume', () => aRequest({ action: 'resume' })],
    ['with a request to another run', () => aRequest({ workflowId: 'task/tsk_1/run-1' })],
    ['with a text that no record can hold', () => Promise.resolve('dec_\u0000')],
  ])('%s is refused, and the audit says that somebody tried', async (_, make) => {
    const [before, opKey] = [await told(), newId('op')];
    expect(await record(await make(), true, opKey)).toMatchObject({ refused: 'FORBIDDEN' });
    expect(await told()).toBe(before);
    const rows = await database.root`
      select actor, action, outcome from audit_entries where op_key = ${`${opKey}:refused`}`;
    expect([...rows]).toEqual([{ actor: 'unproven', action: 'halo.pause', outcome: 'refused' }]);
  });

  test('of somebody who may not run HALO any more is refused', async () => {
    const [before, requestId] = [await told(), await aRequest({ principalId: people.viewer })];
    expect(await record(requestId)).toMatchObject({ refused: 'FORBIDDEN' });
    expect(await told()).toBe(before);
    expect((await getDecisionRequest(database.db, requestId))?.state).toBe('refused');
  });

  test('counts once: its request opens nothing a second time', async () => {
    const requestId = await aRequest();
    expect(await record(requestId)).toBeNull();
    const before = await told();
    expect(await record(requestId)).toMatchObject({ refused: 'CONFLICT' });
    expect(await told()).toBe(before);
  });
});
