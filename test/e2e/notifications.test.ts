import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { everythingWritten } from '../support/leaks.ts';
import { mailCertificate } from '../support/mail-certificate.ts';
import {
  type Receiver,
  silence,
  startDiscord,
  startWebhookReceiver,
  verified,
} from '../support/receivers.ts';
import { type SmtpServer, startSmtpServer } from '../support/smtp-server.ts';
import { startTestStack, type TestStack } from '../support/stack.ts';

type Channel = { id: string; health: string };
type Notification = {
  id: string;
  topic: string;
  state: string;
  title: string;
  link: string | null;
  attempts: number;
  receipt: { status: string; messageId: string | null } | null;
  temporal: { workflowId: string };
};
type Page<T> = { items: T[] };

const token = 'planted-discord-token-0123456789';
const password = 'planted-mail-password-0123456789';

let stack: TestStack;
let webhook: Receiver;
let discord: Receiver;
let mail: SmtpServer;
let secret = '';
const ids: Record<string, string> = {};

beforeAll(async () => {
  webhook = await startWebhookReceiver(() => secret);
  discord = await startDiscord(`/api/webhooks/1/${token}`);
  mail = await startSmtpServer({ security: 'starttls', user: 'dreamnet', password });
  stack = await startTestStack();
  const smtp = {
    ...{ host: 'localhost', port: mail.port, secure: 'starttls', user: 'dreamnet', password },
    ...{ from: 'dreamnet@example.com', to: ['ops@example.com'], ca: mailCertificate },
  };
  for (const [kind, config] of Object.entries({
    webhook: { url: `${webhook.url}/hook` },
    discord: { url: `${discord.url}/api/webhooks/1/${token}` },
    smtp,
  })) {
    const { status, body } = await stack.admin<{ channel: Channel; signingSecret: string | null }>(
      'POST',
      '/v1/channels',
      { name: kind, kind, config: { ...config, allowPrivateNetwork: true } },
    );
    expect(status).toBe(201);
    ids[kind] = body.channel.id;
    secret = body.signingSecret ?? secret;
  }
});
afterAll(() => Promise.all([webhook.close(), discord.close(), mail.close()]));

const notificationsOf = async (query: string): Promise<Notification[]> =>
  (await stack.operator<Page<Notification>>('GET', `/v1/notifications?${query}`)).body.items;

async function until(query: string, count: number, state = 'sent'): Promise<Notification[]> {
  const states = async () => (await notificationsOf(query)).map((one) => one.state);
  await expect
    .poll(states, { timeout: 60_000, interval: 100 })
    .toEqual(Array.from({ length: count }, () => state));
  return notificationsOf(query);
}

async function post(event: object): Promise<void> {
  const source = { type: 'system', id: 'test' };
  const { status } = await stack.admin('POST', '/v1/events', { source, ...event });
  expect(status).toBeLessThan(300);
}

test('each kind of channel can be tried out, and answers with its receipt', async () => {
  const statuses: Record<string, string> = { webhook: '204', discord: '200', smtp: '250' };
  for (const [kind, id] of Object.entries(ids)) {
    const { status, body } = await stack.admin<Notification>('POST', `/v1/channels/${id}/test`, {});
    expect(status, kind).toBe(200);
    expect(body, kind).toMatchObject({ state: 'sent', receipt: { status: statuses[kind] } });
    expect(await stack.operator<Channel>('GET', `/v1/channels/${id}`)).toMatchObject({
      body: { health: 'ok' },
    });
  }
});

test('a task that fails is told on every channel, by name and with a link', async () => {
  await stack.admin('POST', '/v1/agents', {
    name: 'clumsy',
    role: 'DeployKeeper',
    capabilities: ['work.clumsy'],
    executor: 'command',
    config: { command: ['sh', '-c', 'echo broken >&2; exit 1'] },
  });
  const { body: task } = await stack.admin<{ id: string; approvalId: string; digest: string }>(
    'POST',
    '/v1/tasks',
    {
      type: 'work.clumsy',
      title: 'Polish the vase',
      target: 'thing:vase',
      targetRole: 'DeployKeeper',
      dispatchMode: 'auto',
    },
  );
  const decision = { decision: 'approve', digest: task.digest };
  expect((await stack.operator('POST', `/v1/approvals/${task.approvalId}/decision`, decision)).status).toBe(
    200,
  );
  const sent = await until('topic=squad.task.failed', 3);
  for (const one of sent) {
    expect(one.title).toBe('Task failed: Polish the vase');
    expect(one.link).toContain(task.approvalId);
  }
  expect(verified(secret, webhook.received.at(-1) as never)).toMatchObject({ type: 'squad.task.failed' });
  expect(mail.mails.at(-1)?.data).toContain('Subject: [DreamNet] Task failed: Polish the vase');
});

test('kill -9 of the worker between sending and the receipt: the same id arrives again, and one receipt is kept', async () => {
  webhook.received.length = 0;
  webhook.next.push(silence);
  await post({
    type: 'integration.failed',
    severity: 'error',
    payload: { integration: 'kill-nine', error: 'x' },
  });
  const query = `channelId=${ids.webhook}&topic=integration.failed`;
  await expect.poll(() => webhook.received.length, { timeout: 30_000, interval: 20 }).toBe(1);
  process.kill(stack.pids().worker, 'SIGKILL');
  const [one] = await until(query, 1);
  expect(one).toMatchObject({ attempts: 2, receipt: { status: '204' } });
  expect(webhook.received.map(({ headers }) => headers['webhook-id'])).toEqual([one?.id, one?.id]);
});

test('what was stored while Temporal was away is sent when it is back', async () => {
  const temporal = stack.pids().temporal ?? 0;
  process.kill(temporal, 'SIGSTOP');
  const { status } = await stack
    .admin('POST', `/v1/channels/${ids.discord}/test`, {})
    .finally(() => process.kill(temporal, 'SIGCONT'));
  expect(status).toBe(503);
  await until(`channelId=${ids.discord}&topic=notification.test`, 2);
});

test('a storm of one kind becomes one message and a number', async () => {
  let stormSecret = '';
  const receiver = await startWebhookReceiver(() => stormSecret);
  onTestFinished(() => receiver.close());
  const { body } = await stack.admin<{ channel: Channel; signingSecret: string }>('POST', '/v1/channels', {
    name: 'storm',
    kind: 'webhook',
    config: { url: `${receiver.url}/storm`, allowPrivateNetwork: true },
    topics: ['storm.*'],
    cooldownMs: 5_000,
  });
  stormSecret = body.signingSecret;
  const storm = (count: number) =>
    Promise.all(
      Array.from({ length: count }, () => post({ type: 'storm.rain', payload: { target: 'roof' } })),
    );
  const channelId = body.channel.id;
  await storm(20);
  const held = () => notificationsOf(`channelId=${channelId}&state=suppressed`);
  await expect.poll(async () => (await held()).length, { timeout: 30_000 }).toBe(19);
  await new Promise((resolve) => setTimeout(resolve, 5_100));
  await storm(1);
  await expect
    .poll(
      () =>
        receiver.received.map(({ body: sent }) => (JSON.parse(sent) as { data: { more: number } }).data.more),
      { timeout: 30_000 },
    )
    .toEqual([0, 19]);
});

test('planted secrets are in no table, history, log or answer', async () => {
  const planted = [token, password, Buffer.from(password).toString('base64'), secret];
  const found: string[] = [];
  const look = (where: string, text: string): void => {
    if (planted.some((each) => text.includes(each)) || /whsec_[A-Za-z0-9+/]{20}/.test(text))
      found.push(where);
  };
  const written = await everythingWritten(stack);
  for (const { where, text } of written) look(where, text);
  const about = (start: string): string =>
    written
      .filter(({ where }) => where.startsWith(start))
      .map(({ text }) => text)
      .join('\n');
  expect(about('table notifications')).toContain('Polish the vase');
  expect(about('history notification/')).toContain('"notificationId":"ntf_');
  expect(written.filter(({ where }) => where.startsWith('history ')).length).toBeGreaterThan(6);
  expect(about('log ')).not.toBe('');
  for (const path of ['/v1/channels', '/v1/notifications', '/v1/events', '/v1/audit'])
    look(`answer ${path}`, JSON.stringify((await stack.admin('GET', `${path}?limit=200`)).body));
  expect(found).toEqual([]);
});
