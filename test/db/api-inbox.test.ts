import { beforeAll, describe, expect, test } from 'vitest';
import { inboxSummary, listInbox } from '../../db/inbox.ts';
import { recordDecision } from '../../db/decisions.ts';
import { newId } from '../../db/ids.ts';
import type { TaskRow } from '../../db/tasks.ts';
import { createTestApi, keysOf, type TestApi, type Untyped } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent, aTask } from '../support/factories.ts';
import { bindingTo } from './flow.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;
let agentId: string;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
  api = createTestApi(database);
  agentId = await anAgent(database, people);
});

const inbox = (query: string, as = keys.operator) => api.call('GET', `/v1/approvals?${query}`, { as });
const titles = (items: Untyped[]): string[] => items.map(({ title }) => title);

async function wholeList(query: string, limit: number, as = keys.operator): Promise<Untyped[]> {
  const items: Untyped[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: Untyped = await inbox(
      `${query}&limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`,
      as,
    );
    expect(page.status, JSON.stringify(page.body)).toBe(200);
    items.push(...page.body.items);
    cursor = page.body.nextCursor;
  }
  return items;
}

/** Moves the times of an approval, in hours from now. */
async function setTimes(task: TaskRow, times: { opened?: number; expires?: number }): Promise<void> {
  const { opened = 0, expires = 72 } = times;
  await database.root`
    update approvals set created_at = date_trunc('second', now()) + make_interval(hours => ${opened}),
                         expires_at = date_trunc('second', now()) + make_interval(hours => ${expires})
    where id = ${task.approvalId}`;
}

describe('a filter of the inbox', () => {
  const made: Record<string, TaskRow> = {};
  beforeAll(async () => {
    const make = async (title: string, given: Parameters<typeof aTask>[2] = {}) =>
      (made[title] = await aTask(database, people, { title, expiresInMs: 72 * 3_600_000, ...given }));
    await make('F plain', { target: 'f-shop:1', type: 'repair.f.one' });
    await make('F high', { target: 'f-shop:2', type: 'repair.f.two', risk: 'high' });
    await make('F of admin', { target: 'f-bank:1', type: 'deploy.f.one', requestedBy: people.admin });
    await setTimes(await make('F old', { target: 'f-old', type: 'repair.f.one' }), { opened: -50 });
    await setTimes(await make('F soon', { target: 'f-soon', type: 'repair.f.one' }), { expires: 1 });
    await make('F 100%_sure', { target: 'f-odd', type: 'repair.f.one' });
    const other = await make('F outcome', { target: 'f-outcome', type: 'repair.f.one' });
    await database.root`update approvals set kind = 'outcome' where id = ${other.approvalId}`;
    const gone = await make('F rejected', { target: 'f-gone', type: 'repair.f.one' });
    await recordDecision(database.db, {
      ...{ approvalId: gone.approvalId, workflowId: gone.workflowId, decision: 'reject' },
      ...{ principalId: people.operator, digest: gone.digest, reason: 'no', requestId: null },
      opKey: newId('op'),
    });
  });

  test.each<[string, string[]]>([
    ['target=f-shop:1', ['F plain']],
    ['target=f-shop:*', ['F plain', 'F high']],
    ['target=f-shop:*&risk=high', ['F high']],
    ['type=deploy.f.*', ['F of admin']],
    ['type=repair.f.two', ['F high']],
    ['text=f OLD', ['F old']],
    ['text=100%25_', ['F 100%_sure']],
    ['target=f-*&kind=outcome', ['F outcome']],
    ['target=f-*&olderThan=49h', ['F old']],
    ['target=f-*&olderThan=3d', []],
    ['target=f-*&expiresWithin=2h', ['F soon']],
    ['target=f-*&expiresWithin=59m', []],
    ['target=f-*&state=rejected', ['F rejected']],
  ])('%s', async (query, expected) => {
    const { status, body } = await inbox(query);
    expect(status, JSON.stringify(body)).toBe(200);
    expect(titles(body.items)).toEqual(expected);
  });

  test('requestedBy is the principal that asked', async () => {
    const { body } = await inbox(`requestedBy=${people.admin}&target=f-*`);
    expect(titles(body.items)).toEqual(['F of admin']);
  });

  test('state=any has the settled ones too, newest first', async () => {
    const { body } = await inbox('state=any&target=f-*&limit=200');
    expect(titles(body.items)).toContain('F rejected');
    expect(titles(body.items).at(-1)).toBe('F old');
  });

  test('mine is what the caller may decide: not their own, nor what they decided', async () => {
    const mine = await wholeList('mine=true&target=f-*', 3, keys.admin);
    expect(titles(mine)).not.toContain('F of admin');
    expect(mine.every((item) => item.allowedActions.length > 0)).toBe(true);
    expect(await wholeList('mine=true&target=f-*', 3, keys.requester)).toMatchObject([
      { title: 'F of admin' },
    ]);
    const high = made['F high'];
    if (high === undefined) throw new Error('it was made above');
    await recordDecision(database.db, {
      ...{ approvalId: high.approvalId, workflowId: high.workflowId, decision: 'approve' },
      ...{ principalId: people.admin, digest: high.digest, reason: 'fine', requestId: null },
      opKey: newId('op'),
    });
    expect(titles(await wholeList('mine=true&target=f-*', 3, keys.admin))).not.toContain('F high');
    expect(await wholeList('mine=true&target=f-*', 3, keys.viewer)).toEqual([]);
  });

  test.each([
    'colour=red',
    'olderThan=soon',
    'olderThan=9999d',
    'expiresWithin=-1h',
    'sort=title',
    'mine=maybe',
    'target=a*b',
    'text=',
    'text=%00',
    'risk=extreme',
  ])('%s is refused', async (query) => {
    expect(await inbox(query)).toMatchObject({ status: 400, body: { code: 'INVALID' } });
  });
});

describe('an order of the inbox', () => {
  beforeAll(async () => {
    // Several at the same moment, so that a page ends between equals.
    for (let n = 0; n < 14; n += 1) {
      const risk = (['low', 'medium', 'high'] as const)[n % 3];
      const task = await aTask(database, people, { title: `S ${n}`, target: 's-all', risk: risk ?? 'low' });
      await setTimes(task, { opened: -20 + Math.floor(n / 5), expires: 30 + (n % 4) });
    }
  });

  const rank = (item: Untyped): number => ['high', 'medium', 'low'].indexOf(item.risk);
  const by: Record<string, (item: Untyped) => (string | number)[]> = {
    oldest: (item) => [item.createdAt, item.id],
    risk: (item) => [rank(item), item.createdAt, item.id],
    expiry: (item) => [item.expiresAt, item.id],
  };
  const compare = (a: (string | number)[], b: (string | number)[]): number => {
    const at = a.findIndex((value, index) => value !== b[index]);
    return at < 0 ? 0 : (a[at] ?? 0) < (b[at] ?? 0) ? -1 : 1;
  };

  test.each(['oldest', 'risk', 'expiry'] as const)(
    '%s holds over every page, each approval once',
    async (sort) => {
      const keyOf = by[sort] as (item: Untyped) => (string | number)[];
      for (const limit of [1, 4, 5]) {
        const items = await wholeList(`target=s-all&sort=${sort}`, limit);
        expect(items).toHaveLength(14);
        expect(new Set(items.map(({ id }) => id)).size).toBe(14);
        const order = items.map(keyOf);
        expect(order).toEqual([...order].sort(compare));
      }
    },
  );

  test('newest is oldest turned around', async () => {
    const oldest = await wholeList('target=s-all&sort=oldest', 4);
    const newest = await wholeList('target=s-all&sort=newest', 4);
    expect(titles(newest)).toEqual(titles(oldest).reverse());
  });

  test('mine pages through all of them as well', async () => {
    expect(await wholeList('target=s-all&sort=risk&mine=true', 4)).toHaveLength(14);
    expect(await wholeList('target=s-all&sort=risk&mine=true', 4, keys.requester)).toEqual([]);
  });

  test('one that is decided between two pages moves no other', async () => {
    const all = await wholeList('target=s-all&sort=risk', 200);
    const first = await inbox('target=s-all&sort=risk&limit=5');
    await database.root`update approvals set state = 'withdrawn' where id = ${all[2]?.id as string}`;
    const rest = await inbox(`target=s-all&sort=risk&limit=200&cursor=${first.body.nextCursor}`);
    expect(titles(rest.body.items)).toEqual(titles(all.slice(5)));
    await database.root`update approvals set state = 'open' where id = ${all[2]?.id as string}`;
  });

  test('a cursor of another order is refused', async () => {
    const { body } = await inbox('target=s-all&sort=risk&limit=2');
    const answer = await inbox(`target=s-all&sort=expiry&limit=2&cursor=${body.nextCursor}`);
    expect(answer).toMatchObject({ status: 400, body: { code: 'INVALID' } });
    expect(answer.body.detail).toMatch(/order risk/);
  });
});

describe('an item of the inbox', () => {
  test('says what it touches, by whom, whether it can be undone, and how long is left', async () => {
    const task = await aTask(database, people, {
      ...{
        title: 'I one',
        target: 'i-shop',
        type: 'repair.i',
        reversible: true,
        evidence: ['evt_1', 'evt_2'],
      },
      ...{ payload: { text: 'x'.repeat(500) }, binding: bindingTo(agentId) },
    });
    const { body } = await inbox('target=i-shop');
    expect(body.items[0]).toMatchObject({
      ...{ id: task.approvalId, reversible: true, evidenceCount: 2, groupSize: 1, riskProposedLater: null },
      touches: { target: 'i-shop', type: 'repair.i', agent: { id: agentId, name: `agent-${agentId}` } },
      ...{ allowedActions: ['approve', 'reject'], whyNot: null },
    });
    expect(body.items[0].touches.payload).toMatch(/^\{"text":"x+… \(\d+ more characters\)$/);
    expect(body.items[0].expiresInSeconds).toBeGreaterThan(3500);
    expect(body.items[0].expiresInSeconds).toBeLessThanOrEqual(3600);
    const own = await inbox('target=i-shop', keys.requester);
    expect(own.body.items[0]).toMatchObject({ allowedActions: [] });
    expect(own.body.items[0].whyNot).toMatch(/four-eyes/);
  });

  test('has the past results of the same action, here and anywhere', async () => {
    const ended = async (state: string, target: string, more: object = {}) => {
      const task = await aTask(database, people, { target, type: 'repair.past' });
      await database.root`update tasks set ${database.root({ state, ended_at: '2026-01-05T10:00:00Z', ...more })}
                          where id = ${task.id}`;
    };
    for (const state of ['success', 'success', 'failed', 'rejected', 'cancelled'])
      await ended(state, 'p-one');
    await ended('running', 'p-one', { outcome_unknown: true, ended_at: null });
    await ended('failed', 'p-two', { ended_at: '2026-02-01T10:00:00Z' });
    await database.root`
      insert into repairs (task_id, action, target, target_class, trouble_since, repaired_at, state, verdict)
      select id, type, target, target, created_at, ended_at, 'judged',
             case when target = 'p-two' or state = 'failed' then 'worse'
                  when state = 'success' then 'recovered-by-action' else 'recovered-anyway' end
      from tasks where type = 'repair.past' and ended_at is not null`;
    const other = await aTask(database, people, { target: 'p-one', type: 'repair.past.other' });
    await database.root`update tasks set state = 'success', ended_at = now() where id = ${other.id}`;
    for (const target of ['p-one', 'p-two', 'p-new'])
      await aTask(database, people, { title: `P ${target}`, target, type: 'repair.past' });

    const { body } = await inbox('text=P p-&type=repair.past');
    const anywhere = {
      ...{ succeeded: 2, failed: 2, unknown: 1, rejected: 1, lastRunAt: '2026-02-01T10:00:00.000Z' },
    };
    const verdicts = (helped: number, didNotHelp: number) => ({
      here: { helped, didNotHelp },
      anywhere: { helped: 2, didNotHelp: 2 },
    });
    const never = { succeeded: 0, failed: 0, unknown: 0, rejected: 0, lastRunAt: null };
    expect(body.items.map((item: Untyped) => [item.touches.target, item.pastResults])).toEqual([
      [
        'p-one',
        {
          here: { succeeded: 2, failed: 1, unknown: 1, rejected: 1, lastRunAt: '2026-01-05T10:00:00.000Z' },
          anywhere,
          verdicts: verdicts(2, 1),
        },
      ],
      [
        'p-two',
        {
          here: { ...never, failed: 1, lastRunAt: '2026-02-01T10:00:00.000Z' },
          anywhere,
          verdicts: verdicts(0, 1),
        },
      ],
      ['p-new', { here: never, anywhere, verdicts: verdicts(0, 0) }],
    ]);
  });

  test('alone shows the same, with the whole content', async () => {
    const task = await aTask(database, people, { target: 'i-whole', payload: { text: 'x'.repeat(9000) } });
    const [listed] = (await inbox('target=i-whole')).body.items;
    const one = await api.call('GET', `/v1/approvals/${task.approvalId}`, { as: keys.operator });
    expect(one.body.summary.payload).toEqual(task.payload);
    expect(listed.summary.payload.omitted).toMatch(/GET \/v1\/approvals/);
    expect(one.body.pastResults).toEqual(listed.pastResults);
    expect(await api.call('GET', '/v1/approvals/apr_unknown', { as: keys.operator })).toMatchObject({
      status: 404,
    });
  });
});

describe('the summary', () => {
  const summary = (as = keys.viewer) => api.call('GET', '/v1/approvals/summary', { as });

  test('counts what is open by kind and risk, and says how old the oldest is', async () => {
    const before = (await summary()).body;
    await setTimes(await aTask(database, people, { risk: 'high' }), { opened: -100, expires: 0 });
    const gone = await aTask(database, people, { risk: 'high' });
    await database.root`update approvals set state = 'withdrawn' where id = ${gone.approvalId}`;
    const { status, body } = await summary();
    expect(status).toBe(200);
    expect(body.open).toBe(before.open + 1);
    expect(body.byRisk).toEqual({ ...before.byRisk, high: before.byRisk.high + 1 });
    expect(body.byKind.task).toBe(before.byKind.task + 1);
    expect(body.byKind.outcome).toBe(before.byKind.outcome);
    expect(body.oldestAgeSeconds).toBeGreaterThanOrEqual(100 * 3600);
    expect(body.nextExpirySeconds).toBe(0);
  });

  test('of nothing has neither an oldest nor a next', async () => {
    const empty = await openTestDatabase(2);
    const others = await createPeople(empty);
    const { viewer } = await keysOf(empty, others);
    const { body } = await createTestApi(empty).call('GET', '/v1/approvals/summary', { as: viewer });
    expect(body).toEqual({
      ...{ open: 0, byKind: {}, byRisk: { low: 0, medium: 0, high: 0 } },
      ...{ oldestAgeSeconds: null, nextExpirySeconds: null },
    });
  });
});

describe('foreign eyes', () => {
  test('a viewer sees everything and may do nothing, with the reason', async () => {
    const { body } = await inbox('target=s-all', keys.viewer);
    expect(body.items).toHaveLength(14);
    for (const item of body.items) {
      expect(item.allowedActions).toEqual([]);
      expect(item.whyNot).toMatch(/approvals:decide/);
    }
  });

  test('a scope hides what lies out of it, in the list and in the numbers', async () => {
    const task = await aTask(database, people, { target: 'scope-shop:1', risk: 'low' });
    await aTask(database, people, { target: 'scope-bank', risk: 'high' });
    const page = { sort: 'oldest' as const, after: null, limit: 200 };
    const scopes = ['scope-shop:*', 'elsewhere'];
    const rows = await listInbox(database.db, { state: 'open', scopes }, page);
    expect(rows.map(({ id }) => id)).toEqual([task.approvalId]);
    expect(await inboxSummary(database.db, scopes)).toMatchObject({
      open: 1,
      byRisk: { low: 1, medium: 0, high: 0 },
    });
    expect(await listInbox(database.db, { scopes: [] }, page)).toEqual([]);
  });

  test('an agent sees nothing of it', async () => {
    for (const path of ['/v1/approvals', '/v1/approvals/summary'])
      expect(await api.call('GET', path, { as: keys.agent })).toMatchObject({ status: 403 });
  });
});
