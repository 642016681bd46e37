import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NewDecisionRequest, storeDecisionRequest } from '../../db/decision-requests.ts';
import { newId } from '../../db/ids.ts';
import { subscriptionWorkflowId } from '../../domain/names.ts';
import { startRelay } from '../../workers/relay.ts';
import type { Repeated } from '../../workers/repeat.ts';
import type { Runs } from '../../workers/runs.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;
let people: People;
let relay: Repeated;
const told: string[][] = [];

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  const runs = {
    tellSubscription: async (...said: string[]) => void told.push(said),
    startTask: () => Promise.reject(new Error('no task is stored here')),
    sendAgain: () => Promise.reject(new Error('no task is asked here')),
    listBrokenTaskRuns: () => Promise.resolve([]),
    startSubscription: () => Promise.resolve(),
  } as unknown as Runs;
  relay = startRelay({ database, runs, log: new DefaultLogger('ERROR') });
});
afterAll(() => relay.stop());

async function anOldRequest(given: Partial<NewDecisionRequest> = {}): Promise<string> {
  const id = newId('dec');
  await storeDecisionRequest(database.db, {
    ...{ id, action: 'rewind', source: 'api', subjectId: 'shop', workflowId: subscriptionWorkflowId('shop') },
    ...{ approvalId: null, principalId: people.operator, digest: null, reason: null, expiresAt: null },
    ...given,
  });
  await database.root`update decision_requests set created_at = now() - interval '1 minute' where id = ${id}`;
  return id;
}

test('a request that no subscription has answered is told to its run again, with its proof and nothing else', async () => {
  const id = await anOldRequest();
  await eventually(() => told).toEqual([['shop', 'rewind', id]]);
  // A later request is told in a later round; the first is not told in every one.
  const later = await anOldRequest({ action: 'pause' });
  await eventually(() => told.length).toBeGreaterThanOrEqual(2);
  expect(told).toEqual([
    ['shop', 'rewind', id],
    ['shop', 'pause', later],
  ]);
  const rows = await database.root`select state from decision_requests`;
  expect(rows.map(({ state }) => state)).toEqual(['open', 'open']);
});

test('a pause of HALO that was not answered is void instead', async () => {
  const id = await anOldRequest({ action: 'pause', subjectId: 'halo', workflowId: 'halo' });
  const stateOf = async () =>
    (await database.root<{ state: string }[]>`select state from decision_requests where id = ${id}`)[0]
      ?.state;
  await eventually(stateOf).toBe('refused');
  expect(told.some((said) => said.includes(id))).toBe(false);
});
