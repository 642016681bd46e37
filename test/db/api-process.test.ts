import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { prepareFirstStart } from '../../api/first-start.ts';
import { parseKey } from '../../domain/key.ts';
import { createSecrets, type SecretPaths } from '../../stack/secrets.ts';
import { spawnApi } from '../support/api-spawn.ts';
import { sendRaw } from '../support/raw-http.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { aDoor } from '../support/door.ts';
import { follow } from '../support/event-stream.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'dreamnet-test-api-'));
const running = new Set<ChildProcess>();
let database: TestDatabase;
let secrets: SecretPaths;

beforeAll(async () => {
  database = await openTestDatabase();
  secrets = createSecrets(dataDir);
});
afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(dataDir, { recursive: true, force: true });
});

type Started = {
  child: ChildProcess;
  stdout: () => string;
  stderr: () => string;
  exited: Promise<number | null>;
};

function startApi(given: Record<string, string> = {}): Started {
  const child = spawnApi({ databaseUrl: database.url, dataDir, env: given, stderr: 'pipe' });
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  const exited = once(child, 'close').then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  return { child, stdout: () => stdout, stderr: () => stderr, exited };
}

async function portOf(started: Started): Promise<number> {
  await expect.poll(started.stdout, { timeout: 20_000 }).toContain('\n');
  const said = JSON.parse(started.stdout()) as { ready: boolean; port: number };
  expect(said).toEqual({ ready: true, port: expect.any(Number) as number });
  return said.port;
}

const keyFile = (name: string): string => join(dataDir, 'keys', `${name}.key`);

describe('the API process', () => {
  test('ends on SIGTERM although the database is gone', async () => {
    const door = await aDoor(database.url);
    const started = startApi({ DATABASE_URL: door.url });
    const base = `http://127.0.0.1:${await portOf(started)}`;
    await door.shut();
    expect((await fetch(`${base}/v1/status`)).status).toBe(401);
    started.child.kill('SIGTERM');
    expect(await started.exited).toBe(0);
    await door.close();
  });

  test('starts while Temporal is down, says so in one line, and its first keys open the door', async () => {
    const started = startApi();
    const base = `http://127.0.0.1:${await portOf(started)}`;
    for (const name of ['admin', 'operator']) {
      const key = readFileSync(keyFile(name), 'utf8').trim();
      expect(statSync(keyFile(name)).mode & 0o777).toBe(0o600);
      const me = await fetch(`${base}/v1/me`, { headers: { authorization: `Bearer ${key}` } });
      expect(await me.json()).toMatchObject({ name, role: name, kind: 'human' });
      expect(started.stderr()).not.toContain(parseKey(key)?.secret);
    }
    expect(statSync(join(dataDir, 'keys')).mode & 0o777).toBe(0o700);
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
    expect((await fetch(`${base}/readyz`)).status).toBe(503);
    for (const line of started.stderr().trim().split('\n'))
      expect(() => JSON.parse(line) as unknown).not.toThrow();
    started.child.kill('SIGTERM');
    expect(await started.exited).toBe(0);
    expect(started.stdout().trim().split('\n')).toHaveLength(1);
  });

  test('finishes the request in flight when it is told to end', async () => {
    const started = startApi();
    const base = `http://127.0.0.1:${await portOf(started)}`;
    const key = readFileSync(keyFile('admin'), 'utf8').trim();
    // With Temporal down this answer takes a moment: long enough for the signal to come first.
    const answer = fetch(`${base}/v1/tasks`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ type: 'a.b', title: 'last', target: 'x', targetRole: 'Custom' }),
    });
    await expect
      .poll(() => database.root`select 1 from tasks where title = 'last'`, { interval: 5, timeout: 10_000 })
      .toHaveLength(1);
    started.child.kill('SIGTERM');
    expect((await answer).status).toBe(202);
    expect(await started.exited).toBe(0);
  });

  test('ends its live streams at once when it is told to end, also one whose reader takes nothing', async () => {
    const started = startApi();
    const base = `http://127.0.0.1:${await portOf(started)}`;
    const key = readFileSync(keyFile('admin'), 'utf8').trim();
    const follower = await follow(base, { key, query: '?type=big.*&after=start' });
    const stalled = http.get(`${base}/v1/stream?type=big.*&after=start`, {
      headers: { authorization: `Bearer ${key}` },
    });
    stalled.on('error', () => undefined);
    await once(stalled, 'response');
    const event = {
      type: 'big.event',
      source: { type: 'api', id: 'x' },
      payload: { text: 'x'.repeat(100_000) },
    };
    for (let round = 0; round < 30; round += 1)
      await fetch(`${base}/v1/events`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify(Array.from({ length: 10 }, () => event)),
      });
    await expect.poll(() => follower.events().length, { timeout: 30_000 }).toBe(300);
    started.child.kill('SIGTERM');
    expect(await started.exited).toBe(0);
    expect(started.stderr()).not.toContain('closed by force');
    await follower.ended;
    const end = follower.messages.find(({ event: name }) => name === 'end');
    expect(JSON.parse(end?.data ?? '')).toMatchObject({ reason: 'restart' });
    stalled.destroy();
  });

  test('a port in use is one clear message and exit code 1', async () => {
    const first = startApi();
    const port = await portOf(first);
    const second = startApi({ PORT: String(port) });
    expect(await second.exited).toBe(1);
    expect(second.stdout()).toBe('');
    expect(second.stderr()).toMatch(new RegExp(`Port ${port} .*in use`));
    first.child.kill('SIGINT');
    expect(await first.exited).toBe(0);
  });

  test.each([
    ['no database address', { DATABASE_URL: '' }, 2, /DATABASE_URL/],
    ['a port that is none', { PORT: 'eighty' }, 2, /PORT/],
    [
      'a missing secret',
      { DREAMNET_KEY_PEPPER_FILE: '/nowhere/pepper' },
      2,
      /DREAMNET_KEY_PEPPER_FILE.*ENOENT/,
    ],
    ['a database that is not there', { DATABASE_URL: 'postgres://x:y@127.0.0.1:1/z' }, 1, /ECONNREFUSED/],
  ])('%s is one clear message', async (_what, given, code, message) => {
    const started = startApi(given);
    expect(await started.exited).toBe(code);
    expect(started.stderr()).toMatch(message);
    expect(started.stderr().trim().split('\n')).toHaveLength(1);
    expect(started.stdout()).toBe('');
  });

  test('a secret that is short, used twice or no key at all stops the start', async () => {
    const short = join(dataDir, 'short');
    writeFileSync(short, 'abc');
    const wrong: Record<string, string>[] = [
      { DREAMNET_KEY_PEPPER_FILE: short },
      { DREAMNET_AGENT_ROOT_FILE: secrets.keyPepper },
      { DREAMNET_SECRET_BOX_KEY_FILE: short },
      { DREAMNET_SECRET_BOX_KEY_FILE: secrets.agentRoot },
      { DREAMNET_TICKET_PRIVATE_KEY_FILE: secrets.ticketPublicKey },
      { DREAMNET_AUDIT_PUBLIC_KEY_FILE: secrets.keyPepper },
    ];
    for (const given of wrong) {
      const started = startApi(given);
      expect(await started.exited).toBe(2);
      expect(started.stderr()).toMatch(/DREAMNET_/);
    }
  });
});

describe('the first start', () => {
  const pepper = 'a pepper of the first start, long enough';
  const keysIn = async (): Promise<number> => {
    const [row] = await fresh.root<{ n: number }[]>`select count(*)::int as n from keys`;
    return row?.n ?? 0;
  };
  let fresh: TestDatabase;
  let folder: string;
  beforeAll(async () => {
    fresh = await openTestDatabase();
    folder = mkdtempSync(join(dataDir, 'first-'));
  });

  test('of several processes at once issues one key to each person', async () => {
    const all = await Promise.all(
      Array.from({ length: 6 }, () =>
        prepareFirstStart(fresh.db, { pepper, keyEnvironment: 'live', dataDir: folder }),
      ),
    );
    expect(all.flatMap(({ elsewhere }) => elsewhere)).toEqual([]);
    expect(await keysIn()).toBe(2);
    expect(readdirSync(join(folder, 'keys')).sort()).toEqual(['admin.key', 'operator.key']);
    const [row] = await fresh.root<{ ids: string[] }[]>`select array_agg(id) as ids from keys`;
    const files = ['admin', 'operator'].map((name) =>
      readFileSync(join(folder, 'keys', `${name}.key`), 'utf8').trim(),
    );
    expect(files.map((text) => parseKey(text)?.id).sort()).toEqual(row?.ids.sort());
  });

  test('that is repeated issues nothing, also when the file was taken away', async () => {
    rmSync(join(folder, 'keys', 'admin.key'));
    expect(await prepareFirstStart(fresh.db, { pepper, keyEnvironment: 'live', dataDir: folder })).toEqual({
      issued: [],
      elsewhere: [],
    });
    expect(await keysIn()).toBe(2);
    expect(readdirSync(join(folder, 'keys'))).toEqual(['operator.key']);
  });

  test('that broke off after the file was made goes on with that file', async () => {
    const other = await openTestDatabase();
    const before = readFileSync(join(folder, 'keys', 'operator.key'), 'utf8');
    const { issued } = await prepareFirstStart(other.db, { pepper, keyEnvironment: 'live', dataDir: folder });
    expect(issued.map(({ name }) => name)).toEqual(['admin', 'operator']);
    expect(readFileSync(join(folder, 'keys', 'operator.key'), 'utf8')).toBe(before);
    const [row] = await other.root<{ n: number }[]>`
      select count(*)::int as n from keys where id = ${parseKey(before.trim())?.id ?? ''}`;
    expect(row?.n).toBe(1);
  });
});

describe('TRUST 4.32 to 4.37: what comes over a raw socket', () => {
  let port: number;
  let started: Started;
  let key: string;
  beforeAll(async () => {
    started = startApi();
    while (!started.stdout().includes('\n')) await sleep(50);
    port = (JSON.parse(started.stdout()) as { port: number }).port;
    key = readFileSync(keyFile('admin'), 'utf8').trim();
  });
  afterAll(async () => {
    started.child.kill('SIGTERM');
    expect(await started.exited).toBe(0);
  });

  const raw = (...parts: string[]) => sendRaw(port, parts, (answer) => answer.includes('\r\n\r\n'));
  const statusesOf = (answer: string) =>
    [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => match[1]);
  const head = (method: string, path: string, ...lines: string[]) =>
    [`${method} ${path} HTTP/1.1`, 'Host: api', `Authorization: Bearer ${key}`, ...lines, '', ''].join(
      '\r\n',
    );
  const json = 'Content-Type: application/json';
  const taskTitled = (title: string) =>
    JSON.stringify({ type: 'a.b', title, target: 'x', targetRole: 'Custom', payload: {} });
  const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
  const tasksTitled = (title: string) => database.root`select 1 from tasks where title = ${title}`;

  test('a chunked body is taken, and cut off at the limit whatever its chunks say', async () => {
    const good = await raw(
      head('POST', '/v1/tasks', json, 'Transfer-Encoding: chunked'),
      ...taskTitled('in chunks')
        .match(/.{1,20}/gs)!
        .map(chunk),
      '0\r\n\r\n',
    );
    expect(statusesOf(good)).toEqual(['202']);
    const chunks = Array.from({ length: 40 }, () => chunk(' '.repeat(16 * 1024)));
    const large = await raw(
      head('POST', '/v1/tasks', json, 'Transfer-Encoding: chunked'),
      ...chunks,
      chunk(taskTitled('too large')),
      '0\r\n\r\n',
    );
    expect(statusesOf(large)[0]).toBe('413');
    expect(large).toContain('PAYLOAD_TOO_LARGE');
    expect(await tasksTitled('too large')).toHaveLength(0);
  });

  test('a length that is announced as too large is refused before a byte of it is sent', async () => {
    const answer = await raw(head('POST', '/v1/tasks', json, 'Content-Length: 600000'));
    expect(statusesOf(answer)[0]).toBe('413');
  });

  test('lengths that contradict each other are refused, and nothing behind them is carried out', async () => {
    const body = taskTitled('smuggled');
    const length = `Content-Length: ${body.length}`;
    const conflicting = [
      [length, 'Content-Length: 5'],
      [length, 'Transfer-Encoding: chunked'],
      ['Transfer-Encoding: chunked', 'Content-Length: 0'],
      ['Content-Length: -1'],
      ['Content-Length: 1e3'],
      ['Transfer-Encoding: chunked, identity'],
    ];
    for (const lines of conflicting) {
      const answer = await raw(head('POST', '/v1/tasks', json, ...lines), body);
      expect(statusesOf(answer), lines.join()).toEqual(['400']);
    }
    expect(await tasksTitled('smuggled')).toHaveLength(0);
  });

  const send = (body: string, type = json) =>
    raw(head('POST', '/v1/tasks', type, `Content-Length: ${Buffer.byteLength(body, 'latin1')}`), body);
  const withPayload = (payload: string) =>
    taskTitled('limited').replace('"payload":{}', `"payload":${payload}`);

  test.each([
    ['nested too deep', `{"a":${'['.repeat(70)}${']'.repeat(70)}}`],
    ['of too many values', `{"a":[${'0,'.repeat(200_001)}0]}`],
    ['with a number out of range', '{"a":1e999}'],
    ['with a NUL', '{"a":"\\u0000"}'],
    ['with half a surrogate pair', '{"a":"\\ud800"}'],
    ['with a NUL in a name', '{"\\u0000":1}'],
  ])('TRUST 4.33: JSON %s is refused before it reaches the database', async (_what, payload) => {
    const answer = await send(withPayload(payload));
    expect(statusesOf(answer)).toEqual(['400']);
    expect(answer).toContain('"code":"INVALID"');
    expect(await tasksTitled('limited')).toHaveLength(0);
  });

  test.each([
    ['text/plain', '{}', '415'],
    ['multipart/form-data; boundary=x', '{}', '415'],
    ['application/json', '{"a":', '400'],
    ['application/json', '\xff\xfe', '400'],
    ['application/json', 'NaN', '400'],
  ])(
    'TRUST 4.34: a body of type %s that is %j is answered %s, as a problem without internals',
    async (type, body, status) => {
      const answer = await send(body, `Content-Type: ${type}`);
      expect(statusesOf(answer)).toEqual([status]);
      expect(answer).toContain('application/problem+json');
      expect(answer).not.toMatch(/node_modules|\.ts:\d|SyntaxError|at JSON/);
    },
  );

  test('TRUST 4.37: TRACE and other methods echo nothing, and every answer has the security headers', async () => {
    for (const method of ['TRACE', 'PROPFIND', 'DELETE']) {
      const answer = await raw(head(method, '/healthz', 'X-Secret: echo-me'));
      expect(statusesOf(answer)[0], method).toMatch(/^(405|404|501|400)$/);
      expect(answer).not.toContain('echo-me');
      expect(answer).not.toContain(key);
      expect(answer.toLowerCase()).toContain('x-content-type-options: nosniff');
      expect(answer.toLowerCase()).toContain('x-frame-options: deny');
    }
    expect(statusesOf(await raw(head('GET', '/healthz')))).toEqual(['200']);
  });
});
