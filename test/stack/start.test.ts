import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { readStackConfig } from '../../stack/config.ts';
import type { Entries } from '../../stack/services.ts';
import { startStack } from '../../stack/start.ts';
import { fixture, isAlive, keepLog, makeFolder, root, temporalCli, until } from './support.ts';

const fakes: Entries = { api: fixture('api'), worker: fixture('worker'), migrate: fixture('migrate') };

function configFor(dataDir: string, more: Record<string, string> = {}) {
  const free = { PORT: '0', DREAMNET_TEMPORAL_PORT: '0', TEMPORAL_CLI_PATH: temporalCli() };
  return readStackConfig({ PATH: '/usr/bin:/bin', DREAMNET_DATA_DIR: dataDir, ...free, ...more }, root);
}

async function start(dataDir: string, entries: Entries = fakes) {
  const log = keepLog();
  const stack = await startStack({ config: configFor(dataDir), log, fast: true, entries });
  onTestFinished(stack.stop);
  return { ...stack, log };
}

function notes(dataDir: string): string[] {
  return readFileSync(join(dataDir, 'notes'), 'utf8').trim().split('\n');
}

test('a stop answers the request under way, drains the worker after the API, and leaves no process', async () => {
  const dataDir = makeFolder();
  const stack = await start(dataDir);
  const answer = fetch(stack.urls.api).then((response) => response.text());
  await until(() => existsSync(join(dataDir, 'notes')));
  const pids = Object.values(stack.pids());
  await stack.stop();
  expect(await answer).toBe('done');
  expect(notes(dataDir)).toEqual(['request begun', 'request answered', 'api drained', 'worker drained']);
  expect(pids.filter(isAlive)).toEqual([]);
  expect(existsSync(join(dataDir, 'running.lock'))).toBe(false);
});

test('each process gets its own secrets and nothing else: the worker has no ticket private key', async () => {
  const dataDir = makeFolder();
  const stack = await start(dataDir);
  const api = (await (await fetch(`${stack.urls.api}/env`)).json()) as Record<string, string>;
  const worker = JSON.parse(readFileSync(join(dataDir, 'worker-env.json'), 'utf8')) as Record<string, string>;
  const secrets = (env: Record<string, string>) =>
    Object.keys(env)
      .filter((name) => name.endsWith('_FILE'))
      .sort();
  expect(secrets(worker)).toEqual([
    'DREAMNET_AGENT_ROOT_FILE',
    'DREAMNET_AUDIT_PRIVATE_KEY_FILE',
    'DREAMNET_SECRET_BOX_KEY_FILE',
    'DREAMNET_TICKET_PUBLIC_KEY_FILE',
    'TEMPORAL_CONFIG_FILE',
  ]);
  expect(secrets(api)).toEqual([
    'DREAMNET_AGENT_ROOT_FILE',
    'DREAMNET_AUDIT_PUBLIC_KEY_FILE',
    'DREAMNET_KEY_PEPPER_FILE',
    'DREAMNET_SECRET_BOX_KEY_FILE',
    'DREAMNET_TICKET_PRIVATE_KEY_FILE',
    'DREAMNET_TICKET_PUBLIC_KEY_FILE',
    'TEMPORAL_CONFIG_FILE',
  ]);
  for (const env of [api, worker]) {
    expect(env.DATABASE_URL).toContain('dreamnet_app');
    expect(env.MIGRATE_DATABASE_URL).toBeUndefined();
    expect(env.TEMPORAL_ADDRESS).toBe(stack.temporal.TEMPORAL_ADDRESS);
    expect(env.DREAMNET_TEMPORAL_UI_URL).toBe(stack.urls.temporalUi);
  }
});

test('every part that is killed comes back at the place where it was', async () => {
  const stack = await start(makeFolder());
  const before = stack.pids();
  const { api, worker, postgres, temporal } = before;
  for (const pid of [api, worker, postgres, temporal]) process.kill(pid ?? 0, 'SIGKILL');
  await until(() => {
    const now = stack.pids();
    return now.api !== api && now.worker !== worker && now.postgres !== postgres && now.temporal !== temporal;
  });
  expect(await (await fetch(stack.urls.api)).text()).toBe('done');
  expect((await fetch(stack.urls.temporalUi ?? '')).status).toBe(200);
});

test('a second start on a data folder in use is refused; after a stop it continues with the same keys', async () => {
  const dataDir = makeFolder();
  const first = await start(dataDir);
  await expect(start(dataDir)).rejects.toThrow(`already running on the data folder ${dataDir}`);
  await first.stop();
  const pepper = readFileSync(join(dataDir, 'secrets', 'key-pepper'), 'utf8');
  await start(dataDir);
  expect(readFileSync(join(dataDir, 'secrets', 'key-pepper'), 'utf8')).toBe(pepper);
});

test('after kill -9 of the supervisor its processes end, and the next start works', async () => {
  const dataDir = makeFolder();
  const supervisor = spawn(process.execPath, [fixture('supervisor'), dataDir, temporalCli()], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void supervisor.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: supervisor.stdout }), 'line')) as [string];
  const { api, worker, temporal, postgres } = JSON.parse(line) as Record<string, number>;
  supervisor.kill('SIGKILL');
  await once(supervisor, 'exit');
  const next = await start(dataDir);
  expect(await (await fetch(next.urls.api)).text()).toBe('done');
  await until(() => [api, worker, temporal, postgres].every((pid) => !isAlive(pid ?? null)));
});

test('a refused migration stops the start with its own words, and nothing is left running', async () => {
  const dataDir = makeFolder();
  const refused = start(dataDir, { ...fakes, migrate: fixture('migrate-refused') });
  await expect(refused).rejects.toThrow('migrated by a newer release of DreamNet');
  expect(existsSync(join(dataDir, 'running.lock'))).toBe(false);
  await start(dataDir);
});

test('a port in use is told before anything is started', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const dataDir = makeFolder();
  const config = configFor(dataDir, { PORT: String(port) });
  await expect(startStack({ config, log: keepLog(), entries: fakes })).rejects.toThrow(
    `port ${port}, wanted for the API`,
  );
  expect(existsSync(join(dataDir, 'logs'))).toBe(false);
});

test('a start that is interrupted stops what it had begun', async () => {
  const dataDir = makeFolder();
  const stopping = new AbortController();
  const begun = startStack({
    config: configFor(dataDir),
    log: keepLog(),
    fast: true,
    entries: fakes,
    signal: stopping.signal,
  });
  await until(() => existsSync(join(dataDir, 'logs', 'temporal.log')));
  stopping.abort();
  await expect(begun).rejects.toThrow('aborted');
  expect(existsSync(join(dataDir, 'running.lock'))).toBe(false);
});
