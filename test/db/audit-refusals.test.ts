import { destination, pino } from 'pino';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RefusalAudit } from '../../api/context.ts';
import { createRefusalAudit } from '../../api/refusal-audit.ts';
import { parseKey } from '../../domain/key.ts';
import { aKey, createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { faultInChain } from './chain.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let refusals: RefusalAudit;
let api: TestApi;
const log = pino({ level: 'silent' }, destination(2));

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
});
beforeEach(() => {
  refusals = createRefusalAudit({ database, log });
  api = createTestApi(database, { refusals });
});

type Entry = { actor: string; action: string; subject_id: string; outcome: string; body: string };

async function entriesSince(chainNo: number): Promise<Entry[]> {
  await refusals.flush();
  return database.root<Entry[]>`
    select actor, action, subject_id, outcome, body from audit_entries where chain_no > ${chainNo} order by chain_no`;
}

async function headNo(): Promise<number> {
  const [row] = await database.root<{ no: number }[]>`select chain_no::int as no from audit_head`;
  return row?.no ?? 0;
}

const detailOf = (entry: Entry | undefined) =>
  (JSON.parse(entry?.body ?? '{}') as { detail: Record<string, unknown> }).detail;

describe('TRUST 4.47: what the API refuses is audited', () => {
  test('403, with who, which route and the request', async () => {
    const before = await headNo();
    const headers = { 'x-request-id': 'req-of-the-test' };
    const { status } = await api.call('POST', '/v1/agents', {
      as: keys.viewer,
      body: {},
      headers,
    });
    expect(status).toBe(403);
    const [entry, ...more] = await entriesSince(before);
    expect(more).toEqual([]);
    expect(entry).toMatchObject({
      ...{ actor: people.viewer, action: 'api.refuse', outcome: 'refused' },
      subject_id: 'POST /v1/agents',
    });
    expect(detailOf(entry)).toMatchObject({ code: 'FORBIDDEN', requestId: 'req-of-the-test' });
  });

  test('409, with the code', async () => {
    const body = { name: 'twice', role: 'viewer' };
    await api.call('POST', '/v1/principals', { as: keys.admin, body });
    const before = await headNo();
    expect((await api.call('POST', '/v1/principals', { as: keys.admin, body })).status).toBe(409);
    const [entry] = await entriesSince(before);
    expect(entry).toMatchObject({ actor: people.admin, subject_id: 'POST /v1/principals' });
    expect(detailOf(entry)).toMatchObject({ code: 'CONFLICT' });
  });

  test('401, with the id of the key and never its secret', async () => {
    const { id, key } = await aKey(database, people.viewer, { expiresAt: new Date(Date.now() - 1000) });
    const before = await headNo();
    expect((await api.call('GET', '/v1/me', { as: key })).status).toBe(401);
    expect((await api.call('GET', '/v1/me', { as: 'dn_live_no_key' })).status).toBe(401);
    expect((await api.call('GET', '/v1/me')).status).toBe(401);
    const entries = await entriesSince(before);
    expect(entries.map((entry) => detailOf(entry).keyId).sort()).toEqual([id, null, null].sort());
    for (const { actor, subject_id, body } of entries) {
      expect({ actor, subject_id }).toEqual({ actor: 'unauthenticated', subject_id: 'GET /v1/me' });
      expect(body).not.toContain(parseKey(key)?.secret);
      expect(body).not.toContain('no_key');
    }
  });

  test('the same request id does not hide the second refusal', async () => {
    const before = await headNo();
    const headers = { 'x-request-id': 'req-again-and-again' };
    for (let times = 0; times < 3; times += 1)
      await api.call('POST', '/v1/keys', { as: keys.viewer, body: {}, headers });
    expect(await entriesSince(before)).toHaveLength(3);
  });

  test('a path that nobody has is written as its group, not as it was sent', async () => {
    const before = await headNo();
    expect((await api.call('GET', '/v1/%1b[2Jsecret-in-a-path')).status).toBe(401);
    const [entry] = await entriesSince(before);
    expect(entry?.subject_id).toBe('GET /v1/*');
    expect(entry?.body).not.toContain('secret-in-a-path');
  });

  test('what is found, allowed or mistaken otherwise is not', async () => {
    const before = await headNo();
    for (const [path, status] of [
      ['/v1/me', 200],
      ['/v1/tasks/unknown_id', 404],
      ['/v1/tasks?limit=x', 400],
    ] as const)
      expect((await api.call('GET', path, { as: keys.viewer })).status).toBe(status);
    expect(await entriesSince(before)).toEqual([]);
  });

  test('nobody fills the chain by being refused: the rest of a minute is one entry with its count', async () => {
    refusals = createRefusalAudit({ database, log, perSource: 5 });
    api = createTestApi(database, { refusals });
    const before = await headNo();
    await Promise.all(
      Array.from({ length: 40 }, () => api.call('POST', '/v1/keys', { as: keys.viewer, body: {} })),
    );
    await api.call('POST', '/v1/keys', { as: keys.operator, body: {} });
    const entries = await entriesSince(before);
    expect(entries.filter(({ action }) => action === 'api.refuse')).toHaveLength(6);
    const more = entries.filter(({ action }) => action === 'api.refuse.more');
    expect(more).toMatchObject([{ actor: people.viewer }]);
    expect(detailOf(more[0])).toMatchObject({ count: 35 });
    // The next minute begins anew.
    await api.call('POST', '/v1/keys', { as: keys.viewer, body: {} });
    expect(await entriesSince(before)).toHaveLength(8);
    expect(await faultInChain(database.root)).toBeNull();
  });

  test('many sources together are bounded as well', async () => {
    refusals = createRefusalAudit({ database, log, inAll: 3 });
    api = createTestApi(database, { refusals });
    const before = await headNo();
    for (const as of [keys.viewer, keys.agent, keys.requester, keys.operator, keys.breakGlass])
      await api.call('POST', '/v1/keys', { as, body: {} });
    const entries = await entriesSince(before);
    expect(entries.map(({ action }) => action)).toEqual([
      ...['api.refuse', 'api.refuse', 'api.refuse'],
      'api.refuse.more',
    ]);
    expect(entries[3]?.actor).toBe('others');
    expect(detailOf(entries[3])).toMatchObject({ count: 2 });
  });

  test('the count is written when the minute is over, without another request', async () => {
    refusals = createRefusalAudit({ database, log, perSource: 1, windowMs: 200 });
    api = createTestApi(database, { refusals });
    const before = await headNo();
    for (let times = 0; times < 3; times += 1)
      await api.call('POST', '/v1/keys', { as: keys.viewer, body: {} });
    await expect
      .poll(() => database.root`select 1 from audit_entries where chain_no > ${before}`, { timeout: 10_000 })
      .toHaveLength(2);
  });
});
