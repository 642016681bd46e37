import { generateKeyPairSync } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDecisionActivities } from '../../activities/decisions.ts';
import { mintKey } from '../../api/keys.ts';
import { keepUp } from '../../api/upkeep.ts';
import { newId } from '../../db/ids.ts';
import { riskOf } from '../../db/risk.ts';
import { formatKey, parseKey } from '../../domain/key.ts';
import { aKey, createTestApi, keysOf, pepper, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;
let other: TestApi;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
});
beforeEach(async () => {
  await database.root`delete from limit_counters`;
  api = createTestApi(database);
  other = createTestApi(database);
});

const me = (as: string, from?: string, given = api) =>
  given.call('GET', '/v1/me', { as, ...(from === undefined ? {} : { from }) });

async function times(count: number, ask: () => Promise<{ status: number }>): Promise<number[]> {
  const statuses: number[] = [];
  for (let at = 0; at < count; at += 1) statuses.push((await ask()).status);
  return statuses;
}

/** A key with the id of a known one and the secret of another. */
async function aWrongKey(principal: keyof People): Promise<{ id: string; key: string; wrong: string }> {
  const { id, key } = await aKey(database, people[principal]);
  const minted = mintKey(pepper);
  return { id, key, wrong: formatKey('live', id, parseKey(minted.key)?.secret ?? '') };
}

async function threatsOf(subjectId: string) {
  return database.root<{ kind: string; state: string; count: number; address: string; severity: string }[]>`
    select kind, state, count, address, severity from threats where subject_id = ${subjectId} order by kind`;
}

describe('failed logins from one address', () => {
  test('raise a threat and block that address for a time, on every process; others are let in', async () => {
    const from = '203.0.113.10';
    expect((await me(keys.operator, '203.0.113.11', other)).status).toBe(200);
    const statuses = await times(21, () => me(mintKey(pepper).key, from));
    expect(statuses).toEqual([...Array<number>(20).fill(401), 429]);
    expect(await threatsOf(from)).toEqual([
      { kind: 'guessing', state: 'active', count: 20, address: '', severity: 'error' },
    ]);
    const refused = await me(keys.operator, from);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(14 * 60);
    expect(refused.body.detail).toContain('guessing');
    await expect.poll(async () => (await me(keys.operator, from, other)).status, { timeout: 1500 }).toBe(429);
    expect((await me(keys.operator, '203.0.113.11')).status).toBe(200);
    expect((await api.call('GET', '/healthz', { from })).status).toBe(200);

    await database.root`update blocks set until = now() - interval '1 second' where subject_id = ${from}`;
    await expect.poll(async () => (await me(keys.operator, from)).status, { timeout: 1500 }).toBe(200);
  });

  test('are told and audited: the threat and the block are one change with their events', async () => {
    const from = '203.0.113.20';
    await times(20, () => me(mintKey(pepper).key, from));
    const events = await database.root<{ type: string; severity: string }[]>`
      select type, severity from events where payload->>'subjectId' = ${from} order by seq`;
    expect(events.map(({ type }) => type)).toEqual(['security.threat.raised', 'security.block.placed']);
    const logins = await database.root<{ count: number }[]>`
      select (payload->>'count')::int as count from events
      where type = 'security.login.failed' and payload->>'address' = ${from} order by seq`;
    expect(logins.length).toBeLessThanOrEqual(20);
    expect(logins[0]?.count).toBe(1);
    const [audit] = await database.root<{ actor: string }[]>`
      select actor from audit_entries where action = 'threat.raise' and subject_id = ${from}`;
    expect(audit?.actor).toBe('shield');
  });

  test('of this machine itself, or of no known address, block no address', async () => {
    for (const from of ['127.0.0.1', '::1', undefined]) {
      await times(25, () => me(mintKey(pepper).key, from));
      expect((await me(keys.operator, from)).status).toBe(200);
    }
    const rows =
      await database.root`select 1 from blocks where subject_id in ('127.0.0.1', '::1', 'unknown')`;
    expect(rows).toHaveLength(0);
  });
});

describe('failed logins on one key', () => {
  test('from elsewhere never lock its holder out: the key is blocked for that address alone', async () => {
    const admin = await aWrongKey('admin');
    const attacker = '198.51.100.66';
    const statuses = await times(12, () => me(admin.wrong, attacker));
    expect(statuses).toEqual([...Array<number>(10).fill(401), 403, 403]);
    expect((await me(admin.key, '192.0.2.5')).status).toBe(200);
    expect((await me(admin.key)).status).toBe(200);
    const fromThere = await me(admin.key, attacker);
    expect(fromThere.status).toBe(403);
    expect(fromThere.body.detail).toMatch(/until 2.*admin can lift it/s);
    expect(await threatsOf(admin.id)).toEqual([
      { kind: 'key-guessing', state: 'active', count: 10, address: attacker, severity: 'critical' },
    ]);
    // Nor do they make the holder look dangerous enough to be kept from deciding.
    expect(await riskOf(database.db, people.admin)).toBeLessThan(80);
  });
});

describe('what a principal does', () => {
  test('denied again and again is a threat that people see, and no block', async () => {
    await times(55, () => api.call('POST', '/v1/probes', { as: keys.viewer, body: {} }));
    expect(await threatsOf(people.viewer)).toMatchObject([{ kind: 'probing', count: 50 }]);
    expect((await me(keys.viewer)).status).toBe(200);
    const denied = await database.root<{ count: number }[]>`
      select (payload->>'count')::int as count from events
      where type = 'security.access.denied' and payload->>'principalId' = ${people.viewer}`;
    expect(denied.length).toBeGreaterThanOrEqual(1);
    expect(denied.length).toBeLessThanOrEqual(4);
  });

  test('running into its limit again and again is a burst', async () => {
    await database.root`update principals set tier = 'seed' where id = ${people.requester}`;
    await times(112, () => me(keys.requester));
    expect(await threatsOf(people.requester)).toMatchObject([{ kind: 'burst', count: 100 }]);
    await database.root`update principals set tier = 'unmetered' where id = ${people.requester}`;
  });

  test('a threat that goes on is renewed, not raised a second time', async () => {
    await times(100, () => api.call('POST', '/v1/probes', { as: keys.breakGlass, body: {} }));
    expect(await threatsOf(people.breakGlass)).toMatchObject([{ kind: 'probing', count: 100 }]);
  });
});

describe('tickets with a wrong signature', () => {
  test('are events, and many of them a critical threat', async () => {
    const { publicKey } = generateKeyPairSync('ed25519');
    const activities = createDecisionActivities({ database, ticketKey: publicKey, acceptRawSignals: false });
    const forge = (workflowId: string) =>
      activities.recordDecision({
        message: { ticket: 'e30.AAAA' },
        workflowId,
        opKey: newId('op'),
        beginTaskId: null,
      });
    for (let at = 0; at < 4; at += 1) await forge('task/tsk_1/1');
    await keepUp(api.deps);
    expect(await threatsOf('approval-signals')).toEqual([]);
    await forge('task/tsk_2/1');
    for (let round = 0; round < 3; round += 1) await keepUp(api.deps);
    expect(await threatsOf('approval-signals')).toMatchObject([
      { kind: 'bad-signatures', severity: 'critical', count: 5 },
    ]);
    const [row] = await database.root<{ evidence: { runs: string[] } }[]>`
      select evidence from threats where subject_id = 'approval-signals'`;
    expect(row?.evidence.runs.sort()).toEqual(['task/tsk_1/1', 'task/tsk_2/1']);
  });

  test('nobody can make such events up, nor any other of the system itself', async () => {
    for (const type of ['security.ticket.forged', 'security.login.failed', 'security.x'])
      expect(
        await api.call('POST', '/v1/events', {
          as: keys.admin,
          body: { type, source: { type: 'system', id: 'gate' } },
        }),
      ).toMatchObject({ status: 403 });
  });
});

describe('a block by hand', () => {
  const place = (kind: string, id: string, as = keys.admin) =>
    api.call('POST', '/v1/security/blocks', {
      as,
      body: { subject: { kind, id }, minutes: 5, reason: 'leaving the company' },
    });
  const lift = (id: string) =>
    api.call('POST', `/v1/security/blocks/${id}/lift`, { as: keys.admin, body: { reason: 'a mistake' } });

  test('of a principal acts on every process within a second, says whom to ask, and can be lifted', async () => {
    expect((await me(keys.operator, undefined, other)).status).toBe(200);
    const { status, body } = await place('principal', people.operator);
    expect(status).toBe(201);
    const placedAt = performance.now();
    await expect.poll(async () => (await me(keys.operator, undefined, other)).status).toBe(403);
    expect(performance.now() - placedAt).toBeLessThan(1500);
    const refused = await me(keys.operator);
    expect(refused.body.detail).toContain(body.until);
    expect(refused.body.detail).toContain(`dreamnet security lift ${body.id}`);
    expect(await lift(body.id)).toMatchObject({
      status: 200,
      body: { inForce: false, liftedBy: people.admin },
    });
    expect((await me(keys.operator)).status).toBe(200);
    expect(await lift(body.id)).toMatchObject({ status: 409 });
    const audit = await database.root<{ action: string }[]>`
      select action from audit_entries where actor = ${people.admin} and action like 'block.%' order by chain_no`;
    expect(audit.map(({ action }) => action)).toEqual(['block.place', 'block.lift']);
  });

  test('of an address or a key refuses it, whatever its spelling', async () => {
    const { body } = await place('address', '2001:0DB8:0:0:1::1');
    expect(body.subject).toEqual({ kind: 'address', id: '2001:db8::/64', address: null });
    expect((await me(keys.viewer, '2001:db8::ffff')).status).toBe(429);
    const spare = await aKey(database, people.viewer);
    await place('key', spare.id);
    expect((await me(spare.key)).status).toBe(403);
    expect((await me(keys.viewer)).status).toBe(200);
  });

  test('is refused where it would lock out who placed it, this machine, or nobody', async () => {
    for (const [kind, id, code] of [
      ['principal', people.admin, 403],
      ['address', '127.0.0.1', 403],
      ['address', '::ffff:127.0.0.1', 403],
      ['address', 'not an address', 400],
      ['principal', 'prn_nobody', 404],
      ['key', 'nokey', 404],
    ] as const)
      expect(await place(kind, id)).toMatchObject({ status: code });
    expect((await place('principal', people.admin, keys.operator)).status).toBe(403);
  });

  test('is listed with the threats, page by page', async () => {
    const blocks = await api.call('GET', '/v1/security/blocks?limit=1', { as: keys.viewer });
    expect(blocks.body.items).toHaveLength(1);
    const next = await api.call('GET', `/v1/security/blocks?limit=1&cursor=${blocks.body.nextCursor}`, {
      as: keys.viewer,
    });
    expect(next.body.items[0].id).not.toBe(blocks.body.items[0].id);
    const inForce = await api.call('GET', '/v1/security/blocks?inForce=true', { as: keys.viewer });
    expect(inForce.body.items.every((each: { inForce: boolean }) => each.inForce)).toBe(true);
    const active = await api.call('GET', '/v1/security/threats?state=active', { as: keys.viewer });
    expect(active.body.items.length).toBeGreaterThan(2);
  });
});

describe('a threat', () => {
  test('is closed by a person with a reason, once', async () => {
    const [threat] = await database.root<{ id: string }[]>`
      select id from threats where subject_id = ${people.viewer} and state = 'active'`;
    const close = () =>
      api.call('POST', `/v1/security/threats/${threat?.id}/close`, {
        as: keys.admin,
        body: { reason: 'a script with the wrong key' },
      });
    expect(await close()).toMatchObject({ status: 200, body: { state: 'closed', closedBy: people.admin } });
    expect(await close()).toMatchObject({ status: 409 });
  });

  test('that nothing renews expires by itself, once, whoever looks', async () => {
    await database.root`
      update threats set expires_at = now() - interval '1 second' where subject_id = ${people.requester}`;
    await Promise.all([keepUp(api.deps), keepUp(other.deps)]);
    expect(await threatsOf(people.requester)).toMatchObject([{ kind: 'burst', state: 'expired' }]);
    const events = await database.root`
      select 1 from events e join threats t on t.id = e.payload->>'threatId'
      where e.type = 'security.threat.closed' and t.subject_id = ${people.requester}`;
    expect(events).toHaveLength(1);
  });
});

describe('the risk score', () => {
  const decide = (approval: { approvalId: string; digest: string }, decision = 'approve') =>
    api.call('POST', `/v1/approvals/${approval.approvalId}/decision`, {
      as: keys.operator,
      body: { decision, digest: approval.digest, reason: 'looked at it' },
    });
  const risky = async () => {
    for (const kind of ['flood', 'probing', 'burst'])
      await database.root`
        insert into threats (id, kind, subject_kind, subject_id, severity, count, state, evidence, expires_at)
        values (${newId('thr')}, ${kind}, 'principal', ${people.operator}, 'critical', 1, 'active', '{}', now() + interval '1 day')`;
  };

  test('from 80 on keeps a principal from deciding on high risk, says why, and is audited', async () => {
    const high = await aTask(database, people, { risk: 'high' });
    const medium = await aTask(database, people, { risk: 'medium' });
    await risky();
    const refused = await decide(high);
    expect(refused.status).toBe(403);
    expect(refused.body.detail).toMatch(/risk score (8\d|9\d|100).*admin looks into its threats/s);
    expect((await decide(high, 'reject')).status).toBe(403);
    expect((await decide(medium)).status).toBe(202);
    const [audit] = await database.root<{ outcome: string }[]>`
      select outcome from audit_entries
      where actor = ${people.operator} and subject_id = ${high.approvalId} and action = 'approval.approve'`;
    expect(audit?.outcome).toBe('refused');

    await database.root`update threats set state = 'closed' where subject_id = ${people.operator}`;
    expect((await decide(high)).status).toBe(202);
  });

  test('is shown with the signals it follows from', async () => {
    await risky();
    const { status, body } = await api.call('GET', `/v1/principals/${people.operator}/risk`, {
      as: keys.viewer,
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({ mayDecideHighRisk: false, signals: { activeThreats: { critical: 3 } } });
    expect(body.score).toBe(await riskOf(database.db, people.operator));
    expect((await api.call('GET', '/v1/principals/prn_nobody/risk', { as: keys.viewer })).status).toBe(404);
  });

  test('counts failed logins, denials and refusals of the last 24 hours', async () => {
    const fresh = await aWrongKey('requester');
    const scoreOf = async () =>
      (await api.call('GET', `/v1/principals/${people.requester}/risk`, { as: keys.admin })).body;
    const before = await scoreOf();
    await times(3, () => me(fresh.wrong, `203.0.113.${100 + (before.score % 50)}`));
    await api.call('POST', '/v1/agents', { as: keys.requester, body: {} });
    const after = await scoreOf();
    expect(after.signals.failedLogins).toBeGreaterThan(before.signals.failedLogins);
    expect(after.signals.denials).toBe(before.signals.denials + 1);
    expect(after.score).toBeGreaterThanOrEqual(before.score);
  });
});
