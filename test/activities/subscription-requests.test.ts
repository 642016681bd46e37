import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSubscriptionRequestActivities } from '../../activities/subscription-requests.ts';
import {
  getDecisionRequest,
  type NewDecisionRequest,
  storeDecisionRequest,
} from '../../db/decision-requests.ts';
import { newId } from '../../db/ids.ts';
import { createSubscription } from '../../db/subscription-change.ts';
import { getSubscription, listLanes } from '../../db/subscriptions.ts';
import { defaultRetry } from '../../domain/delivery.ts';
import { subscriptionWorkflowId } from '../../domain/names.ts';
import type { SubscriptionAction } from '../../domain/subscription-request.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let people: People;
let key: string;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
});
beforeEach(async () => {
  key = newId('sub').replace('_', '-');
  await createSubscription(database.db, {
    ...{ key, description: '', handler: 'webhook', config: {}, strategy: 'broadcast', consumers: 1 },
    ...{
      match: { types: [], minSeverity: 'info', excludeSourceTypes: [] },
      retry: defaultRetry,
      deadlineMs: null,
    },
    ...{ from: { tx: '5', seq: '5' }, actor: people.admin, opKey: newId('op') },
  });
});

async function aRequest(given: Partial<NewDecisionRequest> = {}): Promise<string> {
  const id = newId('dec');
  await storeDecisionRequest(database.db, {
    ...{ id, action: 'pause', source: 'api', subjectId: key, workflowId: subscriptionWorkflowId(key) },
    ...{ approvalId: null, principalId: people.operator, digest: null, reason: null, expiresAt: null },
    ...given,
  });
  return id;
}

function apply(requestId: unknown, action: SubscriptionAction = 'pause', opKey = newId('op')) {
  const { applySubscriptionRequest } = createSubscriptionRequestActivities({ database });
  return applySubscriptionRequest({ key, action, requestId: requestId as string, opKey });
}

const isPaused = async () => (await getSubscription(database.db, key))?.pausedAt !== null;
async function told(): Promise<string[]> {
  const rows = await database.root<{ change: string }[]>`
    select payload ->> 'change' as change from events where correlation_id = ${`subscription:${key}`}
    order by events.tx, events.seq`;
  return rows.map(({ change }) => change);
}

describe('a request to a subscription', () => {
  test('is done with row, event and audit at once, and once for one operation', async () => {
    const [requestId, opKey] = [await aRequest({ reason: 'moves' }), newId('op')];
    for (let round = 0; round < 2; round += 1)
      expect(await apply(requestId, 'pause', opKey)).toEqual({ accepted: true });
    expect(await getSubscription(database.db, key)).toMatchObject({
      pausedBy: people.operator,
      pauseReason: 'moves',
    });
    expect(await told()).toEqual(['created', 'paused']);
    const rows = await database.root`select actor, action from audit_entries where op_key = ${opKey}`;
    expect([...rows]).toEqual([{ actor: people.operator, action: 'subscription.pause' }]);
    expect((await getDecisionRequest(database.db, requestId))?.state).toBe('recorded');
  });

  test.each<[string, () => Promise<unknown>]>([
    ['a signal without one', () => Promise.resolve(undefined)],
    ['one that is not on record', () => Promise.resolve('dec_made_up')],
    ['an object in its place', () => Promise.resolve({ requestId: 'x' })],
    ['a text that no record can hold', () => Promise.resolve('dec_\u0000')],
    ['one for another action', () => aRequest({ action: 'resume' })],
    ['one for another subscription', () => aRequest({ workflowId: subscriptionWorkflowId('another') })],
    ['one for HALO', () => aRequest({ workflowId: 'halo', subjectId: 'halo' })],
    ['a ticket', () => aRequest({ source: 'ticket' })],
  ])('%s is refused, and the audit says that somebody tried', async (_, make) => {
    const opKey = newId('op');
    expect(await apply(await make(), 'pause', opKey)).toMatchObject({ refused: 'FORBIDDEN' });
    expect(await isPaused()).toBe(false);
    expect(await told()).toEqual(['created']);
    const rows = await database.root`
      select actor, action, subject_id, outcome from audit_entries where op_key = ${`${opKey}:refused`}`;
    expect([...rows]).toEqual([
      { actor: 'unproven', action: 'subscription.pause', subject_id: key, outcome: 'refused' },
    ]);
  });

  test.each<[string, () => Promise<unknown>]>([
    [
      'lost the permission',
      () => database.root`update principals set role = 'viewer' where id = ${people.requester}`,
    ],
    [
      'was disabled',
      () => database.root`update principals set status = 'disabled' where id = ${people.requester}`,
    ],
  ])('of somebody who %s in between is refused on record', async (_, lose) => {
    const requestId = await aRequest({ principalId: people.requester });
    await lose();
    expect(await apply(requestId)).toMatchObject({ refused: 'FORBIDDEN' });
    await database.root`update principals set role = 'operator', status = 'active' where id = ${people.requester}`;
    expect(await isPaused()).toBe(false);
    expect((await getDecisionRequest(database.db, requestId))?.state).toBe('refused');
    const rows = await database.root`
      select actor, outcome from audit_entries where op_key = ${`refused:${requestId}`}`;
    expect([...rows]).toEqual([{ actor: people.requester, outcome: 'refused' }]);
    // Given back, it does not come to life again.
    expect(await apply(requestId)).toMatchObject({ refused: 'CONFLICT' });
    expect(await isPaused()).toBe(false);
  });

  test('counts once: its request opens nothing a second time', async () => {
    const pause = await aRequest();
    expect(await apply(pause)).toEqual({ accepted: true });
    expect(await apply(await aRequest({ action: 'resume' }), 'resume')).toEqual({ accepted: true });
    expect(await apply(pause)).toMatchObject({ refused: 'CONFLICT' });
    expect(await isPaused()).toBe(false);
    expect(await told()).toEqual(['created', 'paused', 'resumed']);
  });

  test('two at once: one pauses, the other is told that it is paused', async () => {
    const asked = await Promise.all([aRequest(), aRequest(), aRequest()]);
    const answers = await Promise.all(asked.map((id) => apply(id)));
    expect(answers.filter((answer) => answer.accepted).length).toBeGreaterThanOrEqual(1);
    expect(await isPaused()).toBe(true);
    const again = await aRequest();
    expect(await apply(again)).toMatchObject({ refused: 'CONFLICT' });
    expect((await getDecisionRequest(database.db, again))?.state).toBe('refused');
  });

  test('to rewind moves every lane back and takes it from whoever reads it', async () => {
    const [before] = await listLanes(database.db, key);
    const rewindTo = { tx: '2', seq: '1' };
    expect(await apply(await aRequest({ action: 'rewind', content: { rewindTo } }), 'rewind')).toEqual({
      accepted: true,
    });
    expect(await listLanes(database.db, key)).toMatchObject([
      { cursorTx: '2', cursorSeq: '1', leaseEpoch: (before?.leaseEpoch ?? 0) + 1 },
    ]);
    const forward = await aRequest({ action: 'rewind', content: { rewindTo: { tx: '9', seq: '9' } } });
    expect(await apply(forward, 'rewind')).toEqual({ accepted: true });
    expect(await listLanes(database.db, key)).toMatchObject([{ cursorTx: '2', cursorSeq: '1' }]);
    const [start] = await database.root`
      select tx::text, seq::text from subscription_starts where subscription = ${key}`;
    expect(start).toEqual({ tx: '2', seq: '1' });
  });

  test('to rewind without a place is refused', async () => {
    expect(await apply(await aRequest({ action: 'rewind' }), 'rewind')).toMatchObject({
      refused: 'FORBIDDEN',
    });
  });

  test('to a subscription that was removed is refused on record', async () => {
    const requestId = await aRequest();
    await database.root`update subscriptions set enabled = false where key = ${key}`;
    expect(await apply(requestId)).toMatchObject({ refused: 'CONFLICT' });
    expect((await getDecisionRequest(database.db, requestId))?.state).toBe('refused');
  });
});
