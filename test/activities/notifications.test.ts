import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createNotificationActivities, type DeliveryEnd } from '../../activities/notifications.ts';
import { createChannel, getChannel, rotateChannelSecret, setChannelEnabled } from '../../db/channels.ts';
import { newId } from '../../db/ids.ts';
import { queueNotifications } from '../../db/notification-queue.ts';
import { getNotification, type NotificationRow } from '../../db/notifications.ts';
import { createSecretBox } from '../../db/sealed.ts';
import { channelSecret } from '../../db/signing-secret.ts';
import { type ChannelSecret, sealContext, type SmtpConfig } from '../../domain/channel.ts';
import type { Notice } from '../../domain/notification.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { mailCertificate } from '../support/mail-certificate.ts';
import {
  answer,
  discordRateLimit,
  type Received,
  type Receiver,
  silence,
  startDiscord,
  startWebhookReceiver,
  verified,
} from '../support/receivers.ts';
import { type SmtpServer, startSmtpServer } from '../support/smtp-server.ts';
import { anEnvironment } from './calls.ts';

const agentRoot = 'an agent root that only tests use, long enough';
const secretBox = createSecretBox('a secret box key that only tests use, long enough');
const token = 'T0ken-that-authenticates-at-discord';
const password = 'correct horse battery';

let database: TestDatabase;
let webhook: Receiver;
let discord: Receiver;
let expected = '';

beforeAll(async () => {
  database = await openTestDatabase();
  webhook = await startWebhookReceiver(() => expected);
  discord = await startDiscord(`/api/webhooks/1/${token}`);
});
afterAll(() => Promise.all([webhook.close(), discord.close()]));
beforeEach(() => {
  for (const receiver of [webhook, discord]) {
    receiver.received.length = 0;
    receiver.next.length = 0;
  }
});

type NewChannel = Parameters<typeof createChannel>[1];

async function aChannel(given: Partial<NewChannel>, secret: ChannelSecret | null): Promise<string> {
  await database.root`update channels set enabled = false`;
  const id = newId('chn');
  await createChannel(database.db, {
    id,
    name: id,
    kind: 'webhook',
    config: { origin: 'http://127.0.0.1', allowPrivateNetwork: true },
    sealed: secret === null ? null : secretBox.seal(JSON.stringify(secret), sealContext(id)),
    topics: ['squad.*'],
    minSeverity: 'info',
    cooldownMs: 0,
    actor: 'prn_admin',
    opKey: newId('op'),
    ...given,
  });
  expected = channelSecret(agentRoot, id, 1);
  return id;
}

const aWebhook = (url = `${webhook.url}/hook`, given: Partial<NewChannel> = {}) => aChannel(given, { url });
const aDiscord = (path = `/api/webhooks/1/${token}`) =>
  aChannel({ kind: 'discord' }, { url: `${discord.url}${path}` });

function aMailbox(
  server: SmtpServer,
  given: Partial<SmtpConfig> = {},
  secret: ChannelSecret | null = { password },
) {
  const config: SmtpConfig = {
    host: 'localhost',
    port: server.port,
    secure: 'starttls',
    from: 'dreamnet@example.com',
    to: ['ops@example.com', 'lead@example.com'],
    user: 'dreamnet',
    allowPrivateNetwork: true,
    ca: mailCertificate,
    ...given,
  };
  return aChannel({ kind: 'smtp', config }, secret);
}

async function queue(given: Partial<Notice> = {}): Promise<string> {
  const [queued] = await queueNotifications(database.log, [
    {
      eventId: newId('evt'),
      topic: 'squad.task.failed',
      severity: 'error',
      dedupeKey: newId('key'),
      title: 'Task failed: Restart the shop',
      text: 'The agent reported a failure.',
      fields: [{ name: 'Target', value: 'probe:shop' }],
      link: 'http://dream.test/v1/tasks/tsk_1',
      everyone: false,
      aboutChannel: null,
      ...given,
    },
  ]);
  if (queued === undefined) throw new Error('no channel wanted it');
  return queued.id;
}

type Try = { end: DeliveryEnd | ApplicationFailure; row: NotificationRow };

async function deliver(id: string, attempt = 1): Promise<Try> {
  const end = (await anEnvironment(attempt)
    .run(createNotificationActivities({ database, agentRoot, secretBox }).deliverNotification, {
      notificationId: id,
    })
    .catch((error: unknown) => error)) as DeliveryEnd | ApplicationFailure;
  const row = await getNotification(database.db, id);
  if (row === null) throw new Error('the notification is gone');
  return { end, row };
}

const queueAndDeliver = async (given: Partial<Notice> = {}): Promise<Try> => deliver(await queue(given));

const last = (receiver: Receiver): Received => {
  const one = receiver.received.at(-1);
  if (one === undefined) throw new Error('nothing was received');
  return one;
};

async function withMailServer(
  options: Partial<Parameters<typeof startSmtpServer>[0]>,
  work: (server: SmtpServer) => Promise<void>,
): Promise<void> {
  const server = await startSmtpServer({ security: 'starttls', user: 'dreamnet', password, ...options });
  try {
    await work(server);
  } finally {
    await server.close();
  }
}

describe('a signed webhook', () => {
  test('is verified by the library of the standard, and its receipt is kept', async () => {
    await aWebhook();
    const { end, row } = await queueAndDeliver();
    expect(end).toEqual({ state: 'sent' });
    expect(row).toMatchObject({ state: 'sent', receipt: { status: '204', messageId: null }, attempts: 1 });
    expect(verified(expected, last(webhook))).toMatchObject({
      type: 'squad.task.failed',
      data: { id: row.id },
    });
  });

  test('has one id over all tries, and the same body', async () => {
    await aWebhook();
    webhook.next.push(answer(500), answer(503));
    const id = await queue();
    const first = await deliver(id);
    expect(first.end).toMatchObject({ message: 'It answered 500.', nonRetryable: false });
    expect(first.row).toMatchObject({ state: 'queued' });
    expect((await deliver(id, 2)).end).toMatchObject({ message: 'It answered 503.' });
    expect((await deliver(id, 3)).row).toMatchObject({ state: 'sent', attempts: 3 });
    expect(new Set(webhook.received.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([id]));
    expect(new Set(webhook.received.map(({ body }) => body)).size).toBe(1);
  });

  test('once sent is not sent again', async () => {
    await aWebhook();
    const { row } = await queueAndDeliver();
    expect((await deliver(row.id)).end).toEqual({ state: 'already-ended' });
    expect(webhook.received).toHaveLength(1);
  });

  test('of another secret is refused by its receiver, and that is the end', async () => {
    await aWebhook();
    expected = channelSecret('another root', 'x', 1);
    const { end, row } = await queueAndDeliver();
    expect(end).toEqual({ state: 'failed' });
    expect(row).toMatchObject({ state: 'failed', error: expect.stringContaining('It answered 401') });
  });

  test('carries two signatures while its secret is rotated, and one afterwards', async () => {
    const id = await aWebhook();
    const [before, after] = [channelSecret(agentRoot, id, 1), channelSecret(agentRoot, id, 2)];
    await rotateChannelSecret(database.db, {
      id,
      fromVersion: 1,
      overlapMs: 60_000,
      actor: 'x',
      opKey: newId('op'),
    });
    await queueAndDeliver();
    for (const secret of [before, after]) expect(verified(secret, last(webhook))).toBeTruthy();
    await database.root`update channels set previous_secret_until = now() - interval '1 second' where id = ${id}`;
    expected = after;
    await queueAndDeliver();
    expect(verified(after, last(webhook))).toBeTruthy();
    expect(() => verified(before, last(webhook))).toThrow();
  });

  test.each([301, 302, 307, 308])('that answers %i is not followed', async (status) => {
    const secret = await startWebhookReceiver(() => expected);
    await aWebhook();
    webhook.next.push(answer(status, { location: `${secret.url}/elsewhere` }));
    const { row } = await queueAndDeliver();
    expect(row).toMatchObject({
      state: 'failed',
      error: expect.stringContaining('redirects are not followed'),
    });
    expect(secret.received).toEqual([]);
    await secret.close();
  });

  test.each([404, 410, 403, 400])('that answers %i is given up at once', async (status) => {
    await aWebhook();
    webhook.next.push(answer(status));
    expect((await queueAndDeliver()).row).toMatchObject({ state: 'failed', attempts: 1 });
  });

  test('that asks to wait is left alone for that long', async () => {
    await aWebhook();
    webhook.next.push(answer(429, { 'retry-after': '7' }), answer(503, { 'retry-after': '86400' }));
    const id = await queue();
    expect((await deliver(id)).end).toMatchObject({ nextRetryDelay: 7_000 });
    expect((await deliver(id)).end).toMatchObject({ nextRetryDelay: 15 * 60_000 });
    webhook.next.push(answer(503, { 'retry-after': new Date(Date.now() + 60_000).toUTCString() }));
    const { end } = await deliver(id);
    expect(Number((end as ApplicationFailure).nextRetryDelay)).toBeGreaterThan(50_000);
    expect(Number((end as ApplicationFailure).nextRetryDelay)).toBeLessThanOrEqual(60_000);
  });

  test('with a giant answer is sent, and no more than a part of the answer is read', async () => {
    await aWebhook();
    let written = 0;
    webhook.next.push((response) => {
      response.writeHead(200);
      const chunk = Buffer.alloc(1024 * 1024, 'x');
      const more = (): void => {
        while (written < 512 && response.write(chunk)) written += 1;
        if (written < 512) response.once('drain', more);
        else response.end();
      };
      more();
    });
    expect((await queueAndDeliver()).row).toMatchObject({ state: 'sent' });
    expect(written).toBeLessThan(64);
  });

  test('at a private address that nobody allowed is not even connected to', async () => {
    await aWebhook(`${webhook.url}/hook`, { config: { origin: webhook.url, allowPrivateNetwork: false } });
    const { row } = await queueAndDeliver();
    expect(row).toMatchObject({ state: 'failed', error: expect.stringContaining('not a public address') });
    expect(webhook.received).toEqual([]);
  });

  test('that cannot be reached is tried again, and its path is in no message', async () => {
    const closed = await startWebhookReceiver(() => '');
    await closed.close();
    await aWebhook(`${closed.url}/secret-path-of-this-hook?key=secret-query`);
    const { end, row } = await queueAndDeliver();
    expect(end).toBeInstanceOf(ApplicationFailure);
    expect(JSON.stringify([end, (end as Error).message, (end as Error).cause, row])).not.toContain('secret-');
  });
});

describe('a Discord-compatible webhook', () => {
  test('tells the id of the message that it became', async () => {
    await aDiscord();
    const { row } = await queueAndDeliver();
    expect(row).toMatchObject({
      state: 'sent',
      receipt: { status: '200', messageId: expect.stringMatching(/^\d+$/) },
    });
    expect(JSON.parse(last(discord).body)).toMatchObject({ allowed_mentions: { parse: [] } });
  });

  test('that answers 204 is sent too, without an id', async () => {
    await aDiscord();
    discord.next.push(answer(204));
    expect((await queueAndDeliver()).row).toMatchObject({ receipt: { status: '204', messageId: null } });
  });

  test('that limits the rate says exactly how long to wait', async () => {
    await aDiscord();
    discord.next.push(answer(429, {}, JSON.stringify({ retry_after: 1.337 })), discordRateLimit(2));
    const id = await queue();
    expect((await deliver(id)).end).toMatchObject({ nextRetryDelay: 1_337 });
    expect((await deliver(id)).end).toMatchObject({ nextRetryDelay: 2_000 });
    expect((await deliver(id)).row).toMatchObject({ state: 'sent' });
  });

  test('that was deleted is given up, and its token is in no message', async () => {
    await aDiscord(`/api/webhooks/1/${token}-deleted`);
    const { row } = await queueAndDeliver();
    expect(row).toMatchObject({ state: 'failed', error: expect.stringContaining('404') });
    expect(JSON.stringify(row)).not.toContain(token);
  });

  test('takes the longest and strangest texts that there are', async () => {
    await aDiscord();
    const value = '@everyone <@1> \\ ` * _ 🙂 مرحبا http://x.test '.repeat(20);
    const fields = Array.from({ length: 30 }, (_none, at) => ({ name: `n${at}`, value }));
    const { row } = await queueAndDeliver({ title: value.slice(0, 160), text: value, fields });
    expect(row).toMatchObject({ state: 'sent', error: null });
    expect(last(discord).body).not.toContain('@everyone');
  });

  test('whose message id is none is sent, and the answer is not believed', async () => {
    await aDiscord();
    discord.next.push(answer(200, {}, '{"id":"<script>"}'), answer(200, {}, 'not json'));
    for (let time = 0; time < 2; time += 1)
      expect((await queueAndDeliver()).row).toMatchObject({ state: 'sent', receipt: { messageId: null } });
  });
});

describe('a mail', () => {
  test.each([
    ['starttls', ['PLAIN']],
    ['starttls', ['LOGIN']],
    ['tls', ['PLAIN', 'LOGIN']],
  ] as const)('over %s with AUTH %s arrives, encrypted and logged in', async (security, auth) => {
    await withMailServer({ security, auth: [...auth] }, async (server) => {
      await aMailbox(server, { secure: security });
      const { row } = await queueAndDeliver({ title: 'Größe 🙂 zählt', text: 'Ünïcödé. '.repeat(50) });
      expect(row).toMatchObject({
        state: 'sent',
        receipt: { status: '250', messageId: `<${row.id}@example.com>` },
      });
      expect(server.mails).toMatchObject([{ user: 'dreamnet', isEncrypted: true }]);
      const [mail] = server.mails;
      expect(mail?.from).toContain('<dreamnet@example.com>');
      expect(mail?.to).toHaveLength(2);
      expect(mail?.data).toContain(`Message-ID: <${row.id}@example.com>`);
      expect(mail?.data).toMatch(/^Subject: =\?UTF-8\?/m);
      expect(mail?.data).toContain('Auto-Submitted: auto-generated');
    });
  });

  test('on this machine goes without encryption and login where the channel says so', async () => {
    await withMailServer({ security: 'none', user: null }, async (server) => {
      await aMailbox(server, { secure: 'none', user: null, ca: null }, null);
      expect((await queueAndDeliver()).row).toMatchObject({ state: 'sent' });
      expect(server.mails).toMatchObject([{ user: null, isEncrypted: false }]);
    });
  });

  test('with a wrong password is given up, and the password is in no message although the server repeats it', async () => {
    await withMailServer({ security: 'starttls' }, async (server) => {
      await aMailbox(server, {}, { password: 'wrong horse' });
      const { row } = await queueAndDeliver();
      expect(row).toMatchObject({ state: 'failed', error: expect.stringContaining('535') });
      expect(row.error).not.toContain('wrong horse');
      expect(server.mails).toEqual([]);
    });
  });

  test('is not sent, and no password either, where the server offers no encryption', async () => {
    await withMailServer({ security: 'none' }, async (server) => {
      await aMailbox(server);
      expect((await queueAndDeliver()).row.state).not.toBe('sent');
      expect(server.mails).toEqual([]);
      expect(server.lines.join('\n')).not.toMatch(/AUTH|MAIL/);
    });
  });

  test('is not sent to a server whose certificate nobody trusts', async () => {
    await withMailServer({ security: 'tls' }, async (server) => {
      await aMailbox(server, { secure: 'tls', ca: null });
      const { end } = await queueAndDeliver();
      expect(end).toMatchObject({ message: expect.stringMatching(/certificate/i) });
      expect(server.mails).toEqual([]);
    });
  });

  test('is not sent where a login was wanted and none is offered', async () => {
    await withMailServer({ security: 'starttls', user: null }, async (server) => {
      await aMailbox(server);
      expect((await queueAndDeliver()).row.state).not.toBe('sent');
      expect(server.mails).toEqual([]);
    });
  });

  test('cannot be given headers or recipients by its title', async () => {
    await withMailServer({ security: 'starttls' }, async (server) => {
      await aMailbox(server);
      await queueAndDeliver({
        title: 'x\r\nBcc: evil@example.com\r\n\r\n<html>',
        text: '.\r\nMAIL FROM:<a@b>\r\n..',
      });
      const [mail] = server.mails;
      const [head = ''] = mail?.data.split('\r\n\r\n') ?? [];
      expect(head).not.toMatch(/^Bcc:/im);
      expect(mail?.to.join()).not.toContain('evil');
      expect(server.mails).toHaveLength(1);
      expect(server.lines.filter((line) => line.startsWith('MAIL'))).toHaveLength(1);
    });
  });

  test.each([
    ['a full mailbox for now', { RCPT: '452 try later' }, 'queued'],
    ['an unknown recipient', { RCPT: '550 no such user' }, 'failed'],
    ['a busy server', { MAIL: '421 too busy' }, 'queued'],
    ['a refused message', { BODY: '554 looks like spam' }, 'failed'],
    ['a message refused for now', { BODY: '451 try later' }, 'queued'],
  ] as const)('that meets %s', async (_what, instead, state) => {
    await withMailServer({ security: 'starttls' }, async (server) => {
      await aMailbox(server);
      Object.assign(server.instead, instead);
      const id = await queue();
      expect((await deliver(id)).row).toMatchObject({ state });
      for (const verb of Object.keys(instead)) delete server.instead[verb as keyof typeof server.instead];
      if (state === 'queued') expect((await deliver(id)).row).toMatchObject({ state: 'sent', attempts: 2 });
    });
  });

  test('to a server at a private address that nobody allowed is not even begun', async () => {
    await withMailServer({ security: 'starttls' }, async (server) => {
      for (const host of ['localhost', '127.0.0.1', '[::1]']) {
        await aMailbox(server, { host, allowPrivateNetwork: false });
        const { row } = await queueAndDeliver();
        expect(row).toMatchObject({
          state: 'failed',
          error: expect.stringContaining('not a public address'),
        });
      }
      expect(server.connections()).toBe(0);
    });
  });

  test('to a server that floods instead of answering ends at the limit of size', async () => {
    await withMailServer({ security: 'none', greeting: `220-${'x'.repeat(300_000)}\r\n` }, async (server) => {
      await aMailbox(server, { secure: 'none' });
      const { end } = await queueAndDeliver();
      expect(end).toBeInstanceOf(ApplicationFailure);
      expect((end as Error).message.length).toBeLessThanOrEqual(500);
    });
  });
});

describe('what never answers', () => {
  test('is given up within the limit of one try, by HTTP and by mail', async () => {
    const startedAt = Date.now();
    await aWebhook();
    webhook.next.push(silence);
    const hook = queue().then((id) => deliver(id));
    await expect.poll(() => webhook.received.length, { timeout: 10_000 }).toBe(1);
    await withMailServer({ security: 'starttls', greeting: null }, async (server) => {
      await aMailbox(server);
      expect((await queueAndDeliver()).end).toMatchObject({ message: expect.stringMatching(/time/i) });
    });
    expect(await hook).toMatchObject({ end: { message: 'timed out' }, row: { state: 'queued' } });
    expect(Date.now() - startedAt).toBeLessThan(25_000);
  });
});

describe('a channel', () => {
  test('that was switched off sends nothing more', async () => {
    const id = await aWebhook();
    const queued = await queue();
    await setChannelEnabled(database.db, { id, enabled: false, actor: 'x', opKey: newId('op') });
    expect((await deliver(queued)).row).toMatchObject({
      state: 'failed',
      error: expect.stringContaining('switched off'),
    });
    expect(webhook.received).toEqual([]);
  });

  test('whose secret was altered in the database sends nothing', async () => {
    const id = await aWebhook();
    await database.root`update channels set sealed = sealed || 'x' where id = ${id}`;
    expect((await queueAndDeliver()).end).toMatchObject({ message: expect.stringContaining('altered') });
    expect(webhook.received).toEqual([]);
  });

  test('whose secret was copied from another channel sends nothing', async () => {
    const id = await aDiscord();
    const other = await getChannel(database.db, id);
    const thief = await aWebhook();
    await database.root`update channels set sealed = ${other?.sealed ?? ''} where id = ${thief}`;
    expect((await queueAndDeliver()).end).toMatchObject({
      message: expect.stringContaining('another record'),
    });
    expect([...webhook.received, ...discord.received]).toEqual([]);
  });
});

test('no table holds the address, the password or the signing secret of a channel', async () => {
  const id = await aDiscord();
  await withMailServer({ security: 'starttls' }, async (server) => {
    await aMailbox(server);
    await queueAndDeliver();
  });
  const tables = await database.root<{ name: string }[]>`
    select tablename as name from pg_tables where schemaname = 'public'`;
  const secrets = [
    token,
    password,
    Buffer.from(password).toString('base64'),
    channelSecret(agentRoot, id, 1),
    expected,
  ];
  for (const { name } of tables) {
    const [dump] = await database.root<{ text: string | null }[]>`
      select string_agg(t::text, ' ') as text from ${database.root(name)} t`;
    for (const secret of secrets) expect(dump?.text ?? '', name).not.toContain(secret);
  }
});
