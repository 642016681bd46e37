import { createHmac } from 'node:crypto';
import { destination, pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createOidc } from '../../api/oidc.ts';
import { newId } from '../../db/ids.ts';
import { createPrincipal } from '../../db/principals.ts';
import { createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { type OidcProvider, startOidcProvider } from '../support/oidc.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let provider: OidcProvider;
let api: TestApi;
let person: string;
let nowMs: number;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
  provider = await startOidcProvider();
  person = newId('prn');
  await createPrincipal(database.db, {
    ...{ id: person, kind: 'human', name: 'kim', role: 'operator', oidcSubject: `${provider.issuer}|kim` },
    actor: people.admin,
    opKey: newId('op'),
  });
});
afterAll(() => provider.close());

function open(): TestApi {
  nowMs = Date.now();
  const { issuer, audience } = provider;
  return createTestApi(database, {
    oidc: createOidc({ issuer, audience, jwksUrl: null, now: () => nowMs }),
  });
}
beforeEach(() => {
  provider.behave('well');
  api = open();
});

const me = (as: string, where = api) => where.call('GET', '/v1/me', { as });
const seconds = (): number => Math.floor(nowMs / 1000);
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const claims = () => ({
  iss: provider.issuer,
  aud: provider.audience,
  sub: 'kim',
  iat: seconds(),
  exp: seconds() + 60,
});

describe('a login', () => {
  test.each(['RS256', 'ES256', 'EdDSA'])(
    'signed with %s opens the door for the linked person',
    async (alg) => {
      const authTime = seconds() - 30;
      const answer = await me(await provider.mint({ auth_time: authTime }, { alg }));
      expect(answer).toMatchObject({
        status: 200,
        body: { id: person, kind: 'human', role: 'operator', key: null },
      });
      expect(answer.body.loginAt).toBe(new Date(authTime * 1000).toISOString());
    },
  );

  test('counts from its issue where the provider does not say when the person logged in', async () => {
    const iat = seconds() - 5;
    expect((await me(await provider.mint({ iat }))).body.loginAt).toBe(new Date(iat * 1000).toISOString());
    const ahead = await me(await provider.mint({ auth_time: seconds() + 3600 }));
    expect(Date.parse(ahead.body.loginAt)).toBeLessThanOrEqual(nowMs);
  });

  test('of nobody known here is refused with what to do, and makes nobody', async () => {
    const count = () => database.db.execute('select count(*)::int as n from principals');
    const before = await count();
    const answer = await me(await provider.mint({ sub: 'stranger' }));
    expect(answer).toMatchObject({ status: 401, body: { code: 'UNAUTHENTICATED' } });
    expect(answer.body.detail).toContain(
      `dreamnet principal set ID --oidc-subject '${provider.issuer}|stranger'`,
    );
    expect(await count()).toEqual(before);
  });

  test('is linked, moved and unlinked by an admin, to one person only', async () => {
    const token = await provider.mint({ sub: 'lee' });
    const oidcSubject = `${provider.issuer}|lee`;
    const link = (id: string, subject: string | null) =>
      api.call('PATCH', `/v1/principals/${id}`, { as: keys.admin, body: { oidcSubject: subject } });
    expect((await link(people.viewer, oidcSubject)).body).toMatchObject({ oidcSubject });
    expect(await me(token)).toMatchObject({ status: 200, body: { id: people.viewer, role: 'viewer' } });
    expect(await link(people.operator, oidcSubject)).toMatchObject({
      status: 409,
      body: { code: 'CONFLICT' },
    });
    expect((await link(people.agent, `${provider.issuer}|bot`)).status).toBe(400);
    expect((await link(people.viewer, null)).status).toBe(200);
    expect((await me(token)).status).toBe(401);
  });

  test('of a disabled person is refused', async () => {
    const setStatus = (action: string) =>
      api.call('POST', `/v1/principals/${person}/${action}`, { as: keys.admin, body: {} });
    await setStatus('disable');
    expect((await me(await provider.mint())).status).toBe(401);
    await setStatus('enable');
    expect((await me(await provider.mint())).status).toBe(200);
  });

  test('is no key where no identity provider is set', async () => {
    const plain = createTestApi(database);
    expect((await me(await provider.mint(), plain)).status).toBe(401);
  });

  test('does not stop keys from working', async () => {
    expect(await me(keys.operator)).toMatchObject({ status: 200, body: { loginAt: null } });
  });
});

describe('TRUST 4.7: a token is refused', () => {
  const forged: [string, () => Promise<string> | string][] = [
    ['with alg none', () => `${part({ alg: 'none', kid: 'kid-RS256' })}.${part(claims())}.`],
    [
      'signed with HS256 under the public key',
      () => {
        const text = `${part({ alg: 'HS256', kid: 'kid-RS256' })}.${part(claims())}`;
        const secret = JSON.stringify(provider.publicJwk('RS256'));
        return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
      },
    ],
    ['signed with a good algorithm that is not on the list', () => provider.mint({}, { alg: 'PS256' })],
    ['without a kid', () => provider.mint({}, { kid: null })],
    ['with a kid nobody has', () => provider.mint({}, { kid: 'kid-of-mine' })],
    ['with the kid of another key', () => provider.mint({}, { kid: 'kid-ES256' })],
    ['of a foreign issuer', () => provider.mint({ iss: 'https://elsewhere.example' })],
    ['for a foreign audience', () => provider.mint({ aud: 'another-api' })],
    ['for no audience', () => provider.mint({ aud: [] })],
    ['expired by 1 s', () => provider.mint({ exp: seconds() - 1 })],
    ['that expires in this second', () => provider.mint({ exp: seconds() })],
    ['whose nbf lies in the future', () => provider.mint({ nbf: seconds() + 2 })],
    ['without an end', () => provider.mint({ exp: undefined })],
    ['without a subject', () => provider.mint({ sub: undefined })],
    ['with an empty subject', () => provider.mint({ sub: '' })],
    [
      'with a changed payload',
      async () => {
        const [head, , signature] = (await provider.mint({ sub: 'stranger' })).split('.');
        return `${head}.${part(claims())}.${signature}`;
      },
    ],
    ['with a header that is no JSON', () => `bm9uZQ.${part(claims())}.AAAA`],
  ];

  test.each(forged)('%s', async (_what, make) => {
    const token = await make();
    const answer = await me(token);
    expect(answer).toMatchObject({ status: 401, body: { code: 'UNAUTHENTICATED' } });
    for (const piece of [token, ...token.split('.').filter((text) => text.length > 10)])
      expect(JSON.stringify(answer.body)).not.toContain(piece);
  });

  test('and the same token without the fault is accepted', async () => {
    expect((await me(await provider.mint({ nbf: seconds(), exp: seconds() + 1 }))).status).toBe(200);
  });

  test('made by another provider with the same kid', async () => {
    const other = await startOidcProvider();
    const token = await other.mint({ iss: provider.issuer });
    await other.close();
    expect((await me(token)).status).toBe(401);
  });
});

describe('the keys of the provider', () => {
  test('are fetched once for many requests', async () => {
    const token = await provider.mint();
    const before = provider.asked();
    const answers = await Promise.all(Array.from({ length: 20 }, () => me(token)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(provider.asked() - before).toBe(1);
  });

  test('are fetched again for a kid that is new, at most every 30 s', async () => {
    await me(await provider.mint());
    await provider.rotate();
    const fresh = await provider.mint({ exp: seconds() + 600 });
    const before = provider.asked();
    for (let times = 0; times < 5; times += 1) expect((await me(fresh)).status).toBe(401);
    expect(provider.asked()).toBe(before);
    nowMs += 30_000;
    expect((await me(fresh)).status).toBe(200);
    expect(provider.asked()).toBe(before + 1);
  });

  test('that were taken back open nothing after ten minutes', async () => {
    const old = await provider.mint({ exp: seconds() + 3600 });
    expect((await me(old)).status).toBe(200);
    await provider.rotate();
    nowMs += 9 * 60_000;
    expect((await me(old)).status).toBe(200);
    nowMs += 60_000;
    expect((await me(old)).status).toBe(401);
  });

  test.each(['down', 'huge', 'redirect', 'broken'] as const)(
    'that cannot be had (%s) are a 503 of ours, not a 401 of the person',
    async (fault) => {
      provider.behave(fault);
      const before = provider.asked();
      const token = await provider.mint();
      for (let times = 0; times < 4; times += 1)
        expect(await me(token)).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } });
      expect(provider.asked() - before).toBe(1);
      provider.behave('well');
      nowMs += 2_000;
      expect((await me(token)).status).toBe(200);
    },
  );

  test('are taken from the issuer only where it speaks for itself', async () => {
    const liar = createTestApi(database, {
      oidc: createOidc({ issuer: `${provider.issuer}/`, audience: 'dreamnet', jwksUrl: null, now: Date.now }),
    });
    expect(await me(await provider.mint(), liar)).toMatchObject({ status: 503 });
  });

  test('can be named instead of being found', async () => {
    const { issuer, audience } = provider;
    const named = createTestApi(database, {
      oidc: createOidc({ issuer, audience, jwksUrl: `${issuer}/keys`, now: Date.now }),
    });
    expect((await me(await provider.mint(), named)).status).toBe(200);
  });

  test('a token of a hostile header makes no request to the provider', async () => {
    const before = provider.asked();
    await me(`${part({ alg: 'none', kid: 'x' })}.${part(claims())}.`);
    await me(await provider.mint({}, { kid: null }));
    expect(provider.asked()).toBe(before);
  });
});

test('no log line holds a token, whatever became of it', async () => {
  let written = '';
  const stream = destination({ dest: 2 });
  stream.write = (text: string) => {
    written += text;
    return true;
  };
  const { issuer, audience } = provider;
  const loud = createTestApi(database, {
    oidc: createOidc({ issuer, audience, jwksUrl: null, now: Date.now }),
    log: pino({ level: 'trace' }, stream),
  });
  const tokens = [
    await provider.mint(),
    await provider.mint({ aud: 'x' }),
    await provider.mint({ sub: 'who' }),
  ];
  for (const token of tokens) await me(token, loud);
  provider.behave('down');
  const last = createTestApi(database, {
    oidc: createOidc({ issuer, audience, jwksUrl: null, now: Date.now }),
    log: pino({ level: 'trace' }, stream),
  });
  await me(tokens[0] ?? '', last);
  expect(written).toContain('"status":503');
  for (const piece of tokens.flatMap((token) => token.split('.'))) expect(written).not.toContain(piece);
});
