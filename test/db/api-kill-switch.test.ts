import { randomBytes } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { createPrincipal } from '../../db/principals.ts';
import { createRole } from '../../db/roles.ts';
import { claimStops } from '../../db/task-hold.ts';
import { beginAttempt } from '../../db/task-run.ts';
import { aKey, createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent } from '../support/factories.ts';
import { anApprovedTask, aRunningTask, auditOf } from './flow.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let agent: string;
let api: TestApi;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
  agent = await anAgent(database, people);
});
beforeEach(async () => {
  await database.root`delete from limit_counters`;
  api = createTestApi(database);
});

/** A target of its own for each test, and the scope of a switch over it alone. */
function aPlace(): { target: string; scope: string } {
  const target = `thing:${randomBytes(4).toString('hex')}`;
  return { target, scope: `target:${target}` };
}

const engage = (scope: string, given: object = {}, as = keys.operator) =>
  api.call('PUT', '/v1/kill-switch', {
    as,
    body: { scope, level: 'approve-only', reason: 'it runs wild', ...given },
  });
const release = (scope: string, given: object = {}, as = keys.operator) =>
  api.call('POST', '/v1/kill-switch/release', { as, body: { scope, reason: 'it is calm', ...given } });
const listed = async (scope: string) => {
  const { body } = await api.call('GET', '/v1/kill-switch?limit=200', { as: keys.viewer });
  return body.items.find((item: { scope: string }) => item.scope === scope);
};

async function aParkedTask(target: string) {
  const task = await anApprovedTask(database, people, agent, { target });
  const begun = { taskId: task.id, opKey: newId('op'), request: null, actor: 'system' };
  expect(await beginAttempt(database.db, begun)).toMatchObject({ parked: true });
  return task;
}

describe('engaging', () => {
  test('says who, why and since when, and what lies under the switch', async () => {
    const { scope, target } = aPlace();
    await aRunningTask(database, people, agent, { target });
    const { status, body } = await engage(scope);
    expect(status).toBe(200);
    await aParkedTask(target);
    const shown = await listed(scope);
    expect(shown).toMatchObject({
      ...{ scope, level: 'approve-only', state: 'engaged', reason: 'it runs wild', release: null },
      engagedBy: { id: people.operator },
      epoch: body.killSwitch.epoch,
      held: { running: 1, waiting: 0, parked: 1 },
    });
    expect(Date.now() - Date.parse(shown.engagedAt)).toBeLessThan(60_000);
    expect(await auditOf(database.root, scope)).toEqual(['kill-switch.engage']);
  });

  test('tells the runs in its scope at once, and no others', async () => {
    const [here, elsewhere] = [aPlace(), aPlace()];
    const running = await aRunningTask(database, people, agent, { target: here.target });
    await aRunningTask(database, people, agent, { target: elsewhere.target });
    const { body } = await engage(here.scope);
    expect(body.told).toBe(1);
    expect(api.temporal.held).toEqual([running.workflowId]);
  });

  test('engages while Temporal is down; the worker tells the runs later', async () => {
    const { scope, target } = aPlace();
    const running = await aRunningTask(database, people, agent, { target });
    api.temporal.down = true;
    const { status, body } = await engage(scope);
    expect([status, body.told]).toEqual([200, 0]);
    expect(body.killSwitch).toMatchObject({ state: 'engaged', held: { running: 1 } });
    const again = async () => (await claimStops(database.db, 500)).map(({ workflowId }) => workflowId);
    await expect.poll(again, { timeout: 5_000, interval: 200 }).toContain(running.workflowId);
  });

  test.each<[string, object]>([
    ['no scope of ours', { scope: 'probe:shop' }],
    ['a kind nobody knows', { scope: 'kind:nonsense' }],
    ['a `*` in the middle', { scope: 'target:pro*be' }],
    ['the level of a release', { level: 'dispatch' }],
    ['no reason', { reason: undefined }],
    ['an empty reason', { reason: '  ' }],
    ['a word too many', { perMinute: 3 }],
  ])('with %s is refused, and nothing is engaged', async (_, given) => {
    const { scope } = aPlace();
    const before = (await api.call('GET', '/v1/kill-switch', { as: keys.viewer })).body.items;
    const { status, body } = await engage(scope, given);
    expect([status, body.code]).toEqual([400, 'INVALID']);
    expect((await api.call('GET', '/v1/kill-switch', { as: keys.viewer })).body.items).toEqual(before);
  });

  test('again at a level that allows more takes the permission to release; at a lower one it does not', async () => {
    const { scope } = aPlace();
    const role = newId('role').toLowerCase().replaceAll('_', '-').slice(0, 30);
    const id = newId('prn');
    await createRole(database.db, {
      ...{ name: role, description: 'may stop', permissions: ['kill-switch:engage'] },
      ...{ actor: people.admin, opKey: newId('op') },
    });
    await createPrincipal(database.db, {
      ...{ id, kind: 'human', name: id, role, actor: people.admin, opKey: newId('op') },
    });
    const stopper = (await aKey(database, id)).key;
    expect((await engage(scope, { level: 'propose' }, stopper)).status).toBe(200);
    const refused = await engage(scope, { level: 'approve-only' }, stopper);
    expect(refused.status).toBe(403);
    expect(refused.body.detail).toContain('kill-switch:release');
    expect((await listed(scope)).level).toBe('propose');
    expect((await engage(scope, { level: 'observe' }, stopper)).status).toBe(200);
    expect((await engage(scope, { level: 'approve-only' })).status).toBe(200);
    expect((await release(scope, {}, stopper)).status).toBe(403);
  });

  test('holds back a proposal, and says which switch and why', async () => {
    const { scope, target } = aPlace();
    await engage(scope, { level: 'observe' });
    const { status, body } = await api.call('POST', '/v1/tasks', {
      as: keys.requester,
      body: { type: 'a.b', title: 't', target, targetRole: 'Custom' },
    });
    expect([status, body.code]).toEqual([409, 'CONFLICT']);
    expect(body.detail).toContain(`kill switch over ${scope} (level observe)`);
    expect(body.detail).toContain('it runs wild');
  });

  test('stays possible when an admin tries to switch that part of the API off', async () => {
    const off = await api.call('PATCH', '/v1/control/kill-switch', {
      as: keys.admin,
      body: { enabled: false, reason: 'quiet' },
    });
    expect(off.status).toBe(403);
    expect((await engage(aPlace().scope)).status).toBe(200);
  });
});

describe('what lies in a scope', () => {
  test('is counted before anything is engaged', async () => {
    const { scope, target } = aPlace();
    await aRunningTask(database, people, agent, { target });
    await anApprovedTask(database, people, agent, { target });
    const path = `/v1/kill-switch/held?scope=${encodeURIComponent(scope)}`;
    const { body } = await api.call('GET', path, { as: keys.viewer });
    expect(body).toEqual({ scope, held: { running: 1, waiting: 1, parked: 0 } });
    expect(await listed(scope)).toBeUndefined();
    expect((await api.call('GET', '/v1/kill-switch/held?scope=x', { as: keys.viewer })).status).toBe(400);
  });
});

describe('the list', () => {
  test('is read page by page, the newest engagement first', async () => {
    const places = [aPlace(), aPlace(), aPlace()];
    for (const { scope } of places) await engage(scope);
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null && seen.length < 3) {
      const path = `/v1/kill-switch?limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`;
      const { body } = await api.call('GET', path, { as: keys.viewer });
      seen.push(...body.items.map((item: { scope: string }) => item.scope));
      cursor = body.nextCursor;
    }
    expect(seen).toEqual(places.map(({ scope }) => scope).reverse());
  });
});

describe('releasing', () => {
  test('drains what is parked at the rate asked for, and says so until nothing is left', async () => {
    const { scope, target } = aPlace();
    await engage(scope);
    const task = await aParkedTask(target);
    const { status, body } = await release(scope, { perMinute: 12 });
    expect(status).toBe(200);
    expect(body.killSwitch).toMatchObject({
      ...{ level: 'dispatch', state: 'draining', held: { parked: 1 } },
      release: { by: { id: people.operator }, reason: 'it is calm', perMinute: 12, drained: 0 },
    });
    await database.root`update tasks set parked_at = null where id = ${task.id}`;
    expect(await listed(scope)).toMatchObject({ state: 'released', held: { parked: 0 } });
  });

  test('lets thirty go a minute where nobody says how many', async () => {
    const { scope } = aPlace();
    await engage(scope);
    expect((await release(scope)).body.killSwitch.release.perMinute).toBe(30);
  });

  test('of what is not engaged is refused, and says what is', async () => {
    const [{ scope }, other] = [aPlace(), aPlace()];
    await engage(other.scope);
    const unknown = await release(scope);
    expect([unknown.status, unknown.body.code]).toEqual([404, 'NOT_FOUND']);
    expect(unknown.body.detail).toContain(other.scope);
    await release(other.scope);
    expect((await release(other.scope)).status).toBe(409);
  });

  test.each([{ perMinute: 0 }, { perMinute: 601 }, { perMinute: 1.5 }, { reason: '' }])(
    'with %o is refused, and the switch stands',
    async (given) => {
      const { scope } = aPlace();
      await engage(scope);
      expect((await release(scope, given)).status).toBe(400);
      expect((await listed(scope)).state).toBe('engaged');
    },
  );
});

describe('the look at the whole system', () => {
  test('shows each switch that is engaged, and none that was released', async () => {
    const [stands, over] = [aPlace(), aPlace()];
    await engage(stands.scope);
    await engage(over.scope);
    await release(over.scope);
    const { body } = await api.call('GET', '/v1/status', { as: keys.viewer });
    const scopes = body.killSwitches.map((item: { scope: string }) => item.scope);
    expect(scopes).toContain(stands.scope);
    expect(scopes).not.toContain(over.scope);
  });
});
