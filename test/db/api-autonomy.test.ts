import { beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { aKey, createTestApi, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent } from '../support/factories.ts';
import { aPair, aRepair } from '../support/repairs.ts';

let database: TestDatabase;
let people: People;
let api: TestApi;
const keys: Record<string, string> = {};

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  api = createTestApi(database);
  for (const role of ['admin', 'operator', 'viewer'] as const)
    keys[role] = (await aKey(database, people[role])).key;
});

const post = (path: string, body: object, as: string) =>
  api.call('POST', path, { as: keys[as] as string, body });
const get = (path: string) => api.call('GET', path, { as: keys.viewer as string });

async function anAction(state: 'manual' | 'suggested' = 'suggested'): Promise<string> {
  const action = `repair.${newId('x').replace('_', '.')}`;
  await aPair(database, action, { state });
  return action;
}

describe('autonomy', () => {
  test('is granted by an admin and withdrawn by an operator', async () => {
    const action = await anAction();
    const path = `/v1/autonomy/${action}/probe`;
    const given = { version: 1, reason: 'earned', expiresInSeconds: 3600 };
    expect(await post(`${path}/grant`, given, 'admin')).toMatchObject({
      status: 200,
      body: {
        action,
        targetClass: 'probe',
        state: 'granted',
        inForce: true,
        grantedBy: people.admin,
        version: 2,
      },
    });
    const listed = await get('/v1/autonomy');
    expect(listed.body.items).toContainEqual(expect.objectContaining({ action, state: 'granted' }));
    expect(await post(`${path}/withdraw`, { reason: 'enough' }, 'operator')).toMatchObject({
      status: 200,
      body: { state: 'manual', inForce: false, withdrawnBecause: 'enough', version: 3 },
    });
    expect((await post(`${path}/withdraw`, { reason: 'enough' }, 'operator')).status).toBe(409);
  });

  test.each([
    [{ version: 1, reason: 'r' }, 'operator', 403],
    [{ version: 2, reason: 'r' }, 'admin', 412],
    [{ version: 1 }, 'admin', 400],
    [{ reason: 'r' }, 'admin', 400],
    [{ version: 1, reason: 'r', expiresInSeconds: 1 }, 'admin', 400],
    [{ version: 1, reason: 'r', other: 1 }, 'admin', 400],
  ])('cannot be granted by %j of %s', async (body, as, status) => {
    const action = await anAction();
    expect((await post(`/v1/autonomy/${action}/probe/grant`, body, as)).status).toBe(status);
    const [row] = await database.root`select state, version from autonomy where action = ${action}`;
    expect(row).toEqual({ state: 'suggested', version: 1 });
  });

  test('of what is manual is refused, of what was never judged not found', async () => {
    const body = { version: 1, reason: 'r' };
    expect((await post(`/v1/autonomy/${await anAction('manual')}/probe/grant`, body, 'admin')).status).toBe(
      409,
    );
    expect((await post('/v1/autonomy/never/probe/grant', body, 'admin')).status).toBe(404);
    expect((await post('/v1/autonomy/never/probe/withdraw', { reason: 'r' }, 'operator')).status).toBe(404);
  });
});

describe('repairs', () => {
  test('are listed by action, target and verdict, page by page', async () => {
    const agent = await anAgent(database, people, { capabilities: ['*'] });
    const type = `repair.${newId('x').replace('_', '.')}`;
    const ids: string[] = [];
    for (const target of ['probe:a', 'probe:b', 'probe:b'])
      ids.unshift(await aRepair(database, people, agent, { type, target }));
    await database.root`update repairs set state = 'judged', verdict = 'worse' where task_id = ${ids[0] ?? ''}`;
    const page = async (query: string) => {
      const { body } = await get(`/v1/repairs?action=${type}${query}`);
      return { ids: body.items.map((item: { taskId: string }) => item.taskId), next: body.nextCursor };
    };
    expect(await page('')).toEqual({ ids, next: null });
    expect((await page('&target=probe:a')).ids).toEqual([ids[2]]);
    expect((await page('&verdict=worse')).ids).toEqual([ids[0]]);
    const first = await page('&limit=2');
    expect(first.ids).toEqual(ids.slice(0, 2));
    expect(await page(`&limit=2&cursor=${first.next}`)).toEqual({ ids: ids.slice(2), next: null });
  });

  test('with a verdict that there is not are refused', async () => {
    expect((await get('/v1/repairs?verdict=fine')).status).toBe(400);
  });
});
