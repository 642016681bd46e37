import { beforeAll, describe, expect, test } from 'vitest';
import { recordSent } from '../../db/notification-end.ts';
import { queueNotifications } from '../../db/notification-queue.ts';
import { beginDelivery } from '../../db/notifications.ts';
import { channelSecret } from '../../db/signing-secret.ts';
import { newId } from '../../db/ids.ts';
import { type ChannelSecret, defaultTopics, sealContext } from '../../domain/channel.ts';
import { createTestApi, keysOf, type TestApi, type Untyped } from '../support/api.ts';
import { createPeople, openTestDatabase, type TestDatabase } from '../support/database.ts';
import { mailCertificate } from '../support/mail-certificate.ts';

let database: TestDatabase;
let api: TestApi;
let keys: Record<'admin' | 'operator' | 'viewer' | 'agent', string>;

beforeAll(async () => {
  database = await openTestDatabase();
  api = createTestApi(database);
  const { admin, operator, viewer, agent } = await createPeople(database);
  keys = await keysOf(database, { admin, operator, viewer, agent });
});

const url = 'https://hooks.example.com/very/secret-path?key=secret-query';
const mail = {
  host: 'mail.example.com',
  port: 587,
  from: 'dreamnet@example.com',
  to: ['ops@example.com'],
  user: 'dreamnet',
  password: 'secret-password',
};

const post = (body: unknown, as = keys.admin) => api.call('POST', '/v1/channels', { as, body });

async function aChannel(given: object = {}): Promise<Untyped> {
  const { status, body } = await post({ name: newId('name'), kind: 'webhook', config: { url }, ...given });
  expect(status).toBe(201);
  return body;
}

async function openedOf(id: string): Promise<ChannelSecret> {
  const [row] = await database.root<{ sealed: string }[]>`select sealed from channels where id = ${id}`;
  return JSON.parse(api.deps.secretBox.open(row?.sealed ?? '', sealContext(id))) as ChannelSecret;
}

describe('a new channel', () => {
  test('of kind webhook shows its signing secret once, and its address never again', async () => {
    const { channel, signingSecret } = await aChannel();
    expect(signingSecret).toBe(channelSecret(api.deps.agentRoot, channel.id, 1));
    expect(channel).toMatchObject({
      config: { origin: 'https://hooks.example.com', allowPrivateNetwork: false },
      topics: [...defaultTopics],
      minSeverity: 'info',
      cooldownMs: 60_000,
      enabled: true,
      health: 'unknown',
      hasSecret: true,
    });
    const seen = [
      await api.call('GET', `/v1/channels/${channel.id}`, { as: keys.admin }),
      await api.call('GET', '/v1/channels?limit=200', { as: keys.viewer }),
      await api.call('GET', '/v1/audit?limit=200', { as: keys.admin }),
      await api.call('GET', '/v1/events?limit=200', { as: keys.admin }),
    ];
    for (const { status, body } of seen) {
      expect(status).toBe(200);
      expect(JSON.stringify(body)).not.toMatch(/secret-path|secret-query|whsec_|box1/);
    }
    expect(await openedOf(channel.id)).toEqual({ url });
  });

  test('of kind smtp keeps what a person may read and seals the password', async () => {
    const { channel, signingSecret } = await aChannel({
      kind: 'smtp',
      config: { ...mail, ca: mailCertificate },
    });
    expect(signingSecret).toBeNull();
    expect(channel.config).toEqual({
      host: 'mail.example.com',
      port: 587,
      secure: 'starttls',
      from: 'dreamnet@example.com',
      to: ['ops@example.com'],
      user: 'dreamnet',
      allowPrivateNetwork: false,
      ca: mailCertificate,
    });
    expect(await openedOf(channel.id)).toEqual({ password: 'secret-password' });
  });

  test('of kind smtp without a login has nothing to seal', async () => {
    const { user: _user, password: _password, ...open } = mail;
    expect((await aChannel({ kind: 'smtp', config: open })).channel).toMatchObject({ hasSecret: false });
  });

  test('with a name that is taken is refused', async () => {
    const { channel } = await aChannel();
    expect(await post({ name: channel.name, kind: 'discord', config: { url } })).toMatchObject({
      status: 409,
    });
  });

  test.each<[string, object, RegExp]>([
    ['no kind', { kind: undefined }, /kind/],
    ['another kind', { kind: 'pigeon' }, /kind/],
    ['no address', { config: {} }, /config\.url/],
    ['an open address', { config: { url: 'http://hooks.example.com/x' } }, /config\.url: must be https/],
    [
      'an address with a password',
      { config: { url: 'https://u:p@example.com' } },
      /without user and password/,
    ],
    [
      'an address of another scheme',
      { config: { url: 'file:///etc/passwd' } },
      /must be an http or https address/,
    ],
    ['more than an address', { config: { url, headers: {} } }, /headers|config/i],
    ['a topic that is none', { topics: ['Squad Task'] }, /topics\.0: must be an event type/],
    ['a star in the middle', { topics: ['squad.*.failed'] }, /topics\.0: must be an event type/],
    ['an unknown severity', { minSeverity: 'loud' }, /minSeverity/],
    ['a negative cooldown', { cooldownMs: -1 }, /cooldownMs/],
    ['more than it may name', { enabled: true }, /enabled/],
    ['a name of two lines', { name: 'a\nb' }, /name: must be one line/],
    ['mail without recipients', { kind: 'smtp', config: { ...mail, to: [] } }, /config\.to/],
    [
      'mail to no address',
      { kind: 'smtp', config: { ...mail, to: ['ops'] } },
      /config\.to\.0: must be one mail address/,
    ],
    [
      'a header in an address',
      { kind: 'smtp', config: { ...mail, from: 'a@b.cd\r\nBcc: x@y.zz' } },
      /config\.from: must be one mail address/,
    ],
    [
      'a host that is none',
      { kind: 'smtp', config: { ...mail, host: 'mail example' } },
      /config\.host: must be a host/,
    ],
    ['a port that is none', { kind: 'smtp', config: { ...mail, port: 70_000 } }, /config\.port/],
    [
      'another security',
      { kind: 'smtp', config: { ...mail, secure: 'maybe' } },
      /config\.secure: must be starttls/,
    ],
    [
      'a user without a password',
      { kind: 'smtp', config: { ...mail, password: undefined } },
      /belong together/,
    ],
    [
      'a password in the open',
      { kind: 'smtp', config: { ...mail, secure: 'none' } },
      /must not leave this machine/,
    ],
    [
      'a certificate that is none',
      { kind: 'smtp', config: { ...mail, ca: 'x' } },
      /config\.ca: must be certificates/,
    ],
  ])('with %s is refused, says what is allowed, and nothing is stored', async (_what, given, why) => {
    const before = await database.root`select count(*) from channels`;
    const { status, body } = await post({ name: newId('name'), kind: 'webhook', config: { url }, ...given });
    expect(status).toBe(400);
    expect(JSON.stringify(body)).toMatch(why);
    expect(await database.root`select count(*) from channels`).toEqual(before);
  });

  test('of kind smtp may give a password in the open to this machine', async () => {
    for (const host of ['localhost', '127.0.0.1', '[::1]'])
      await aChannel({
        kind: 'smtp',
        config: { ...mail, host, secure: 'none', allowPrivateNetwork: true },
      });
  });

  test('is made by an admin only', async () => {
    for (const as of [keys.operator, keys.viewer, keys.agent])
      expect(await post({ name: newId('name'), kind: 'webhook', config: { url } }, as)).toMatchObject({
        status: 403,
      });
  });
});

describe('a change', () => {
  const patch = (id: string, body: unknown) =>
    api.call('PATCH', `/v1/channels/${id}`, { as: keys.admin, body });

  test('of what is not secret leaves the secret as it is', async () => {
    const { channel } = await aChannel();
    const { status, body } = await patch(channel.id, {
      topics: ['halo.*'],
      cooldownMs: 0,
      minSeverity: 'error',
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      topics: ['halo.*'],
      cooldownMs: 0,
      minSeverity: 'error',
      name: channel.name,
    });
    expect(await openedOf(channel.id)).toEqual({ url });
  });

  test('of a mail server needs the password again, so that it never goes to another server unseen', async () => {
    const { channel } = await aChannel({ kind: 'smtp', config: mail });
    const { password: _password, ...moved } = { ...mail, host: 'evil.example.com' };
    expect(await patch(channel.id, { config: moved })).toMatchObject({ status: 400 });
    expect(await openedOf(channel.id)).toEqual({ password: 'secret-password' });
    expect(await patch(channel.id, { config: { ...moved, password: 'another' } })).toMatchObject({
      status: 200,
    });
    expect(await openedOf(channel.id)).toEqual({ password: 'another' });
  });

  test('to a name that is taken, of nothing, and of an unknown channel is refused', async () => {
    const one = (await aChannel()).channel;
    const two = (await aChannel()).channel;
    expect(await patch(one.id, { name: two.name })).toMatchObject({ status: 409 });
    expect(await patch(one.id, {})).toMatchObject({ status: 400 });
    expect(await patch('chn_none', { name: 'x' })).toMatchObject({ status: 404 });
  });

  test('on and off is kept, and repeating it is harmless', async () => {
    const { channel } = await aChannel();
    for (const [action, enabled] of [
      ['disable', false],
      ['disable', false],
      ['enable', true],
    ] as const)
      expect(
        await api.call('POST', `/v1/channels/${channel.id}/${action}`, { as: keys.admin }),
      ).toMatchObject({
        status: 200,
        body: { enabled },
      });
  });
});

describe('a rotation', () => {
  const rotate = (id: string, body?: unknown) =>
    api.call('POST', `/v1/channels/${id}/rotate-secret`, {
      as: keys.admin,
      ...(body === undefined ? {} : { body }),
    });

  test('shows the new secret once and says until when the old one signs too', async () => {
    const { channel, signingSecret } = await aChannel();
    const { status, body } = await rotate(channel.id, { overlapSeconds: 3600 });
    expect(status).toBe(200);
    expect(body.signingSecret).toBe(channelSecret(api.deps.agentRoot, channel.id, 2));
    expect(body.signingSecret).not.toBe(signingSecret);
    const left = Date.parse(body.channel.previousSecretUntil) - Date.now();
    expect(left).toBeGreaterThan(3_500_000);
    expect(left).toBeLessThan(3_700_000);
    const day = Date.parse((await rotate(channel.id)).body.channel.previousSecretUntil) - Date.now();
    expect(day).toBeGreaterThan(86_000_000);
  });

  test('of a channel without a signing secret is refused', async () => {
    const { channel } = await aChannel({ kind: 'discord' });
    expect(await rotate(channel.id)).toMatchObject({ status: 409 });
  });
});

describe('trying a channel out', () => {
  const tryOut = (id: string, headers: Record<string, string> = {}) =>
    api.call('POST', `/v1/channels/${id}/test`, { as: keys.admin, headers });
  const deliver = async (notificationId: string) => {
    const delivery = await beginDelivery(database.db, { notificationId, runId: 'run_1' });
    if (delivery !== null) await recordSent(database.db, { ...delivery, status: '204', messageId: null });
  };

  test('answers with the receipt, and the same key tries it once', async () => {
    api.temporal.send = deliver;
    const { channel } = await aChannel();
    const first = await tryOut(channel.id, { 'idempotency-key': 'once' });
    expect(first).toMatchObject({
      status: 200,
      body: {
        channelId: channel.id,
        topic: 'notification.test',
        state: 'sent',
        receipt: { status: '204' },
        temporal: { workflowId: `notification/${first.body.id}`, runId: 'run_1' },
      },
    });
    expect((await tryOut(channel.id, { 'idempotency-key': 'once' })).body).toEqual(first.body);
    expect((await tryOut(channel.id)).body.id).not.toBe(first.body.id);
    const now = await api.call('GET', `/v1/channels/${channel.id}`, { as: keys.viewer });
    expect(now.body).toMatchObject({ health: 'ok', lastSentAt: expect.any(String) });
  });

  test('that is still on its way is a 202; one that Temporal does not answer is kept for the relay', async () => {
    api.temporal.send = () => Promise.resolve();
    const { channel } = await aChannel();
    expect(await tryOut(channel.id)).toMatchObject({ status: 202, body: { state: 'queued' } });
    api.temporal.down = true;
    expect(await tryOut(channel.id)).toMatchObject({ status: 503 });
    api.temporal.down = false;
    const list = await api.call('GET', `/v1/notifications?channelId=${channel.id}`, { as: keys.viewer });
    expect(list.body.items.map(({ state }: Untyped) => state)).toEqual(['queued', 'queued']);
  });

  test('that is switched off is refused', async () => {
    const { channel } = await aChannel();
    await api.call('POST', `/v1/channels/${channel.id}/disable`, { as: keys.admin });
    expect(await tryOut(channel.id)).toMatchObject({ status: 409 });
  });
});

test('the list of notifications is filtered by channel, state and topic, and goes on page by page', async () => {
  const { channel } = await aChannel({ topics: ['a.*', 'b.c'], cooldownMs: 0 });
  for (const topic of ['a.one', 'a.two', 'b.c'])
    await queueNotifications(database.log, [
      {
        ...{ eventId: newId('evt'), topic, severity: 'info', dedupeKey: topic, title: topic, text: 't' },
        ...{ fields: [{ name: 'n', value: 'v' }], link: null, everyone: false, aboutChannel: null },
      },
    ]);
  const list = async (query: string) => {
    const path = `/v1/notifications?channelId=${channel.id}${query}`;
    const { body } = await api.call('GET', path, { as: keys.viewer });
    return body;
  };
  const topics = async (query: string) => (await list(query)).items.map(({ topic }: Untyped) => topic);
  expect(await topics('')).toEqual(['b.c', 'a.two', 'a.one']);
  expect(await topics('&topic=a.*')).toEqual(['a.two', 'a.one']);
  expect(await topics('&topic=b.c&state=queued')).toEqual(['b.c']);
  expect(await topics('&state=sent')).toEqual([]);
  const first = await list('&limit=2');
  expect(await topics(`&limit=2&cursor=${first.nextCursor}`)).toEqual(['a.one']);
  expect((await api.call('GET', '/v1/notifications?state=lost', { as: keys.viewer })).status).toBe(400);
  expect((await api.call('GET', '/v1/notifications', { as: keys.agent })).status).toBe(403);
});
