import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseKey } from '../../domain/key.ts';
import { encodingsOf, everythingWritten } from '../support/leaks.ts';
import { startTestStack, type TestStack } from '../support/stack.ts';

let stack: TestStack;
let agent: Server;
/** Every secret of this system, and some it was given, by what it is. */
const planted = new Map<string, string>();
/** Texts that the API answered: bodies of refusals and of lists. */
const answers: string[] = [];

const secretOf = (key: string): string => parseKey(key)?.secret ?? '';
const file = (...parts: string[]): string => readFileSync(join(stack.dataDir, ...parts), 'utf8').trim();
/** The line of a PEM file that holds the key itself. */
const pemBody = (name: string): string => file('secrets', name).split('\n')[1] ?? '';

beforeAll(async () => {
  stack = await startTestStack();
  agent = createServer((_request, response) => response.writeHead(500).end('broken'));
  await new Promise<void>((resolve) => void agent.listen(0, '127.0.0.1', resolve));
  planted.set('admin key', secretOf(file('keys', 'admin.key')));
  planted.set('operator key', secretOf(file('keys', 'operator.key')));
  planted.set('key pepper', file('secrets', 'key-pepper'));
  planted.set('agent root', file('secrets', 'agent-root'));
  planted.set('secret box key', file('secrets', 'secret-box-key'));
  planted.set('ticket private key', pemBody('ticket-private.pem'));
  planted.set('audit private key', pemBody('audit-private.pem'));
  planted.set('application password', decodeURIComponent(new URL(stack.databaseUrl).password));
  planted.set('owner password', decodeURIComponent(new URL(stack.migrateUrl).password));
  planted.set('discord address', 'canary-discord-token-4f1d9c77');
  planted.set('mail password', 'canary "mail" password\\4f1d9c78');
});
afterAll(() => void agent.close());

async function ask(
  method: string,
  path: string,
  body?: unknown,
  headers = {},
): Promise<Record<string, string>> {
  const answer = await stack.admin<Record<string, string>>(method, path, body, headers);
  // What is shown once is taken out; all else of the answer is looked through.
  const { key: _key, signingSecret: _secret, ...shown } = answer.body;
  answers.push(JSON.stringify(shown));
  return answer.body;
}

test('planted secrets are found nowhere: tables, histories, logs, answers, in no encoding', async () => {
  const principal = await ask('POST', '/v1/principals', { name: 'canary', role: 'operator' });
  const issue = { principalId: principal.id, label: 'canary' };
  const issued = await ask('POST', '/v1/keys', issue, { 'idempotency-key': 'canary-1' });
  planted.set('issued key', secretOf(issued.key ?? ''));
  await ask('POST', '/v1/keys', issue, { 'idempotency-key': 'canary-1' });
  const rotated = await ask('POST', `/v1/keys/${issued.id}/rotate`, {});
  planted.set('rotated key', secretOf(rotated.key ?? ''));
  const { port } = agent.address() as AddressInfo;
  const made = await ask('POST', '/v1/agents', {
    ...{ name: 'canary', role: 'DeployKeeper', capabilities: ['canary.*'], executor: 'http' },
    config: { url: `http://127.0.0.1:${port}/`, allowPrivateNetwork: true },
  });
  planted.set('signing secret of the agent', (made.signingSecret ?? '').replace('whsec_', ''));
  const channel = await ask('POST', '/v1/channels', {
    ...{ name: 'chat', kind: 'discord' },
    config: {
      url: `http://127.0.0.1:${port}/api/webhooks/1/${planted.get('discord address')}`,
      allowPrivateNetwork: true,
    },
  });
  await ask('POST', '/v1/channels', {
    ...{ name: 'mail', kind: 'smtp' },
    config: {
      ...{
        host: '127.0.0.1',
        port,
        secure: 'starttls',
        user: 'canary',
        password: planted.get('mail password'),
      },
      ...{ from: 'a@example.com', to: ['b@example.com'], allowPrivateNetwork: true },
    },
  });
  expect([...planted].filter(([, secret]) => secret.length < 16)).toEqual([]);
  expect(planted.size).toBeGreaterThanOrEqual(12);

  // Everything goes wrong that can: the agent, the channel, the keys, the bodies.
  const task = await ask('POST', '/v1/tasks', {
    ...{
      type: 'canary.sing',
      title: 'Sing',
      target: 'mine',
      targetRole: 'DeployKeeper',
      dispatchMode: 'auto',
    },
  });
  const decided = await stack.operator('POST', `/v1/approvals/${task.approvalId}/decision`, {
    ...{ decision: 'approve', digest: task.digest, reason: 'seen' },
  });
  expect(decided.status).toBe(200);
  await ask('POST', `/v1/channels/${(channel.channel as unknown as { id: string }).id}/test`, {});
  for (const [what, secret] of planted) {
    const wrong = await stack.as(`dn_live_${'a'.repeat(12)}_${secret}_00000000`)('GET', '/v1/me');
    expect({ what, status: wrong.status }).toEqual({ what, status: 401 });
    answers.push(JSON.stringify(wrong.body));
    await ask('POST', '/v1/channels', { name: 'bad', kind: 'smtp', config: { password: secret, host: 7 } });
    await ask('POST', '/v1/channels', { name: 'bad', kind: 'discord', config: { url: `no-url ${secret}` } });
  }
  await expect
    .poll(
      async () =>
        (await stack.operator<{ task: { state: string } }>('GET', `/v1/tasks/${task.id}`)).body.task.state,
      {
        timeout: 30_000,
      },
    )
    .toBe('failed');
  for (const path of [
    'events',
    'audit',
    'channels',
    'notifications',
    'agents',
    'tasks',
    'principals',
    'roles',
  ])
    await ask('GET', `/v1/${path}?limit=200`);
  for (const id of ['prn_admin', 'prn_operator', principal.id])
    answers.push(JSON.stringify((await stack.admin('GET', `/v1/keys?principalId=${id}`)).body));

  const written = await everythingWritten(stack);
  expect(written.filter(({ where }) => where.startsWith('history ')).length).toBeGreaterThan(1);
  expect(written.map(({ where }) => where)).toContain('table idempotency_keys');
  const found: string[] = [];
  for (const { where, text } of [...written, ...answers.map((text) => ({ where: 'answer', text }))])
    for (const [what, secret] of planted)
      if (encodingsOf(secret).some((each) => text.includes(each))) found.push(`${what} in ${where}`);
  expect(found).toEqual([]);
}, 120_000);
