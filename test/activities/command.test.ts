import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ActivityCancellationDetails, CancelledFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCommandActivities } from '../../activities/command.ts';
import { listTaskLogs } from '../../db/tasks.ts';
import { cancelTask } from '../../db/task-end.ts';
import { newId } from '../../db/ids.ts';
import type { CommandConfig } from '../../domain/agent.ts';
import type { AgentResult } from '../../domain/task.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { freshTask } from '../db/flow.ts';
import { aCall, anEnvironment, type Dispatched } from './calls.ts';
import { eventually } from '../db/eventually.ts';

let database: TestDatabase;
let people: People;
const folder = mkdtempSync(join(tmpdir(), 'dreamnet-command-'));
const effectsDir = join(folder, 'effects');
const searchPath = `${join(process.execPath, '..')}:/usr/local/bin:/usr/bin:/bin`;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  mkdirSync(effectsDir);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const executorOf = (host = 'this-host') =>
  createCommandActivities({ database, effectsDir, host, searchPath }).runCommand;

const shell = (script: string, given: Partial<CommandConfig> = {}): CommandConfig => ({
  command: ['sh', '-c', script],
  ...given,
});
const prepare = (config: CommandConfig, timeoutMs?: number) =>
  aCall(database, people, 'command', config, timeoutMs);

const run = (at: Dispatched, environment = anEnvironment(), execute = executorOf()): Promise<AgentResult> =>
  environment.run(execute, { agentId: at.agentId, call: at.call });

/** Runs a script as the one command of a new task. */
async function runScript(script: string, given: Partial<CommandConfig> = {}, timeoutMs?: number) {
  return run(await prepare(shell(script, given), timeoutMs));
}

/** A file in which a command leaves a line for each time it acts. */
function aLedger() {
  const file = join(folder, newId('ledger'));
  writeFileSync(file, '');
  return { file, lines: () => readFileSync(file, 'utf8').split('\n').filter(Boolean) };
}

/** A process that nobody waits for stays listed after its end in a container without an init. */
function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

function runnerOf({ call }: Dispatched): number {
  const claim = readFileSync(join(effectsDir, call.key.replace(':', '-'), 'claim.json'), 'utf8');
  return (JSON.parse(claim) as { pid: number }).pid;
}

describe('how a command ends', () => {
  test.each<[string, string, { ok: boolean; summary: string; output?: object }]>([
    ['well and silent', 'true', { ok: true, summary: 'The command ended well.' }],
    ['well with a last word', 'echo one; echo two', { ok: true, summary: 'two' }],
    [
      'with a code',
      'echo out; echo why >&2; exit 3',
      { ok: false, summary: 'The command failed (exit code 3): why' },
    ],
    ['with a code and silent', 'exit 1', { ok: false, summary: 'The command failed (exit code 1)' }],
    ['by a signal', 'kill -9 $$', { ok: false, summary: 'The command failed (signal SIGKILL)' }],
    [
      'with an answer',
      `echo noise; echo '{"ok":true,"summary":"restarted","output":{"pid":7}}'`,
      { ok: true, summary: 'restarted', output: { pid: 7 } },
    ],
    [
      'with an answer that says no',
      `echo '{"ok":false,"summary":"no such service"}'`,
      { ok: false, summary: 'no such service' },
    ],
    [
      'with a good answer and a bad code',
      `echo '{"ok":true,"summary":"restarted"}'; exit 1`,
      { ok: false, summary: 'The command failed (exit code 1)' },
    ],
    ['with JSON that is no answer', `echo '{"done":true}'`, { ok: true, summary: '{"done":true}' }],
  ])('%s', async (_how, script, expected) => {
    expect(await runScript(script)).toEqual(expected);
  });

  test('a program that is not there is said so', async () => {
    expect(await run(await prepare({ command: ['no-such-program'] }))).toMatchObject({
      ok: false,
      summary: expect.stringContaining('could not be run'),
    });
  });

  test('a folder that is not there is said so', async () => {
    expect(await runScript('true', { cwd: '/no/such/folder' })).toMatchObject({ ok: false });
  });

  test('more output than is kept still ends with the answer', async () => {
    const script = `head -c 3000000 /dev/zero | tr '\\0' 'x'; echo; echo '{"ok":true,"summary":"done"}'`;
    expect(await runScript(script)).toEqual({ ok: true, summary: 'done' });
  });

  test('it is told its task on standard input, once and whole', async () => {
    const at = await prepare(shell('cat'));
    const { summary } = await run(at);
    expect(JSON.parse(summary)).toEqual(at.call);
  });

  test('a command that does not read its input ends all the same', async () => {
    const at = await prepare(shell('exec 0<&-; echo fine'));
    const call = { ...at.call, task: { ...at.call.task, payload: { large: 'x'.repeat(200_000) } } };
    expect(await run({ ...at, call })).toEqual({ ok: true, summary: 'fine' });
  });

  test('an agent of another kind is not run', async () => {
    const at = await aCall(database, people, 'http', { url: 'http://agent/' });
    await expect(run(at)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('what a command is given', () => {
  test('its environment is only what it was given, and nothing of the worker', async () => {
    process.env.DREAMNET_TEST_SECRET = 'must not leak';
    const at = await prepare({ command: ['env'], env: { GREETING: 'hello there' } });
    const { call } = at;
    const ledger = aLedger();
    const config = shell(`env > ${ledger.file}`, { env: { GREETING: 'hello there' } });
    const other = await prepare(config);
    await run(other);
    const names = ledger.lines().map((line) => line.split('=')[0]);
    // PWD, SHLVL and _ are the shell's own.
    expect(names.filter((name) => !['PWD', 'SHLVL', '_', 'OLDPWD'].includes(name ?? '')).sort()).toEqual([
      'DREAMNET_ATTEMPT',
      'DREAMNET_EPOCH',
      'DREAMNET_TASK_ID',
      'GREETING',
      'PATH',
    ]);
    expect(ledger.lines()).toContain(`DREAMNET_ATTEMPT=${other.call.key}`);
    expect(ledger.lines()).toContain('GREETING=hello there');
    expect((await run(at)).ok).toBe(true);
    expect(call.key).not.toBe(other.call.key);
    delete process.env.DREAMNET_TEST_SECRET;
  });

  test('no shell reads its arguments', async () => {
    const at = await prepare({ command: ['echo', '$HOME; `id`', '$(id)'] });
    expect(await run(at)).toEqual({ ok: true, summary: '$HOME; `id` $(id)' });
  });

  test('what it was told and what it answered is only for its owner to read', async () => {
    const at = await prepare(shell('true'));
    await run(at);
    const dir = join(effectsDir, at.call.key.replace(':', '-'));
    expect(statSync(dir).mode & 0o077).toBe(0);
    for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).mode & 0o077).toBe(0);
  });
});

describe('limits', () => {
  test('a command that takes too long is stopped with all it started', async () => {
    const ledger = aLedger();
    const result = await runScript(`sleep 300 & echo $! > ${ledger.file}; wait`, {}, 500);
    expect(result).toEqual({ ok: false, summary: 'The command was stopped after 500 ms.' });
    await eventually(() => isAlive(Number(ledger.lines()[0]))).toBe(false);
  });

  test('one that does not listen to SIGTERM is stopped too', async () => {
    const ledger = aLedger();
    const result = await runScript(
      `trap '' TERM; echo $$ > ${ledger.file}; while :; do sleep 0.1; done`,
      {},
      300,
    );
    expect(result.summary).toContain('stopped after 300 ms');
    await eventually(() => isAlive(Number(ledger.lines()[0]))).toBe(false);
  });

  test('a command that wants more memory than it may have fails, one that wants less does not', async () => {
    const wants = (size: string) =>
      runScript(`dd if=/dev/zero of=/dev/null bs=${size} count=1`, { memoryMb: 64 });
    expect(await wants('256M')).toMatchObject({ ok: false });
    expect(await wants('16M')).toMatchObject({ ok: true });
  });
});

describe('progress', () => {
  test('lines that say how far it is reach the task', async () => {
    const gate = join(folder, newId('gate'));
    const script = `
      echo '{"progress": 0.25, "message": "a quarter 😀"}'
      while [ ! -e ${gate} ]; do sleep 0.05; done
      echo done`;
    const at = await prepare(shell(script));
    const running = run(at);
    await eventually(async () => (await freshTask(database, at.task.id)).progress).toMatchObject({
      fraction: 0.25,
      message: 'a quarter 😀',
    });
    writeFileSync(gate, '');
    expect(await running).toEqual({ ok: true, summary: 'done' });
    expect(await listTaskLogs(database.db, at.task.id, 0, 10)).toMatchObject([{ message: 'a quarter 😀' }]);
  });

  test('lines that only look like progress harm nothing', async () => {
    const lines = [
      '{"progress": 7, "message": "too far"}',
      '{"progress": "half"}',
      '{"progress"',
      '{"progress": 0.5, "message": {"a": 1}}',
      String.raw`{"progress": 0.5, "message": "a\u0000b\ud83d"}`,
      `{"progress": 0.6, "message": "${'x'.repeat(499)}😀"}`,
    ];
    const file = join(folder, newId('lines'));
    writeFileSync(file, lines.join('\n'));
    const gate = join(folder, newId('gate'));
    const at = await prepare(
      shell(`cat ${file}; echo; while [ ! -e ${gate} ]; do sleep 0.05; done; echo done`),
    );
    const running = run(at);
    await eventually(async () => (await freshTask(database, at.task.id)).progress?.fraction).toBe(0.6);
    writeFileSync(gate, '');
    expect(await running).toEqual({ ok: true, summary: 'done' });
  });
});

describe('one attempt acts once', () => {
  test('a second call with the same key attaches to the command that runs', async () => {
    const ledger = aLedger();
    const gate = join(folder, newId('gate'));
    const at = await prepare(
      shell(`echo acted >> ${ledger.file}; while [ ! -e ${gate} ]; do sleep 0.05; done; echo done`),
    );
    const first = run(at);
    await eventually(ledger.lines).toEqual(['acted']);
    const second = run(at, anEnvironment(2));
    const third = run(at, anEnvironment(3));
    writeFileSync(gate, '');
    expect(await Promise.all([first, second, third])).toEqual([
      { ok: true, summary: 'done' },
      { ok: true, summary: 'done' },
      { ok: true, summary: 'done' },
    ]);
    expect(ledger.lines()).toEqual(['acted']);
  });

  test('a call after the command ended gets its result and does not run it again', async () => {
    const ledger = aLedger();
    const at = await prepare(shell(`echo acted >> ${ledger.file}; echo done`));
    const first = await run(at);
    expect(await run(at, anEnvironment(2))).toEqual(first);
    expect(ledger.lines()).toEqual(['acted']);
  });

  test('a worker that stops leaves the command alone, and the next one gets its result', async () => {
    const ledger = aLedger();
    const gate = join(folder, newId('gate'));
    const at = await prepare(
      shell(`echo acted >> ${ledger.file}; while [ ! -e ${gate} ]; do sleep 0.05; done; echo done`),
    );
    const stopping = anEnvironment();
    const first = run(at, stopping);
    await eventually(ledger.lines).toEqual(['acted']);
    stopping.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true }));
    await expect(first).rejects.toThrow('shutting down');
    const second = run(at, anEnvironment(2));
    writeFileSync(gate, '');
    expect(await second).toEqual({ ok: true, summary: 'done' });
    expect(ledger.lines()).toEqual(['acted']);
  });

  test('command and runner killed: nobody knows the outcome, and nothing runs again', async () => {
    const ledger = aLedger();
    const at = await prepare(shell(`echo $$ >> ${ledger.file}; while :; do sleep 0.1; done`));
    const first = run(at);
    await eventually(() => ledger.lines().length).toBe(1);
    process.kill(runnerOf(at), 'SIGKILL');
    process.kill(-Number(ledger.lines()[0]), 'SIGKILL');
    await expect(first).rejects.toMatchObject({ type: 'OUTCOME_UNKNOWN', nonRetryable: true });
    await expect(run(at, anEnvironment(2))).rejects.toMatchObject({ type: 'OUTCOME_UNKNOWN' });
    expect(ledger.lines()).toHaveLength(1);
  });

  test('another machine does not run what this one began: it cannot know the outcome', async () => {
    const ledger = aLedger();
    const at = await prepare(shell(`echo acted >> ${ledger.file}`));
    await run(at);
    await expect(run(at, anEnvironment(2), executorOf('other-host'))).rejects.toMatchObject({
      type: 'OUTCOME_UNKNOWN',
      message: expect.stringContaining('this-host'),
    });
    expect(ledger.lines()).toEqual(['acted']);
  });

  test.each([
    ['got another command', `update agents set config_version = 2, config = '{"command":["true"]}'`],
    ['was disabled', `update agents set state = 'disabled'`],
  ])('an agent that %s after the dispatch runs nothing, now or later', async (_what, change) => {
    const ledger = aLedger();
    const at = await prepare(shell(`echo acted >> ${ledger.file}`));
    await database.root.unsafe(`${change} where id = '${at.agentId}'`);
    const said = { ok: false, summary: expect.stringContaining('changed after the dispatch') };
    expect(await run(at)).toEqual(said);
    await database.root.unsafe(
      `update agents set config_version = 1, state = 'online' where id = '${at.agentId}'`,
    );
    expect(await run(at, anEnvironment(2))).toEqual(said);
    expect(ledger.lines()).toEqual([]);
  });

  test('a change of the agent while its command runs does not disturb it', async () => {
    const ledger = aLedger();
    const at = await prepare(shell(`echo acted >> ${ledger.file}; echo done`));
    await run(at);
    await database.root`update agents set config_version = 2 where id = ${at.agentId}`;
    expect(await run(at, anEnvironment(2))).toEqual({ ok: true, summary: 'done' });
    expect(ledger.lines()).toEqual(['acted']);
  });

  test('an attempt that has ended is not begun', async () => {
    const ledger = aLedger();
    const at = await prepare(shell(`echo acted >> ${ledger.file}`));
    await cancelTask(database.db, {
      taskId: at.task.id,
      requestId: null,
      actor: 'test',
      reason: null,
      opKey: newId('op'),
    });
    await expect(run(at)).rejects.toMatchObject({ type: 'OUTCOME_UNKNOWN' });
    expect(ledger.lines()).toEqual([]);
  });
});

describe('cancellation', () => {
  test('stops the command with all it started', async () => {
    const ledger = aLedger();
    const at = await prepare(shell(`sleep 300 & echo $! >> ${ledger.file}; echo $$ >> ${ledger.file}; wait`));
    const environment = anEnvironment();
    const running = run(at, environment);
    await eventually(() => ledger.lines().length).toBe(2);
    environment.cancel();
    await expect(running).rejects.toBeInstanceOf(CancelledFailure);
    for (const pid of ledger.lines()) await eventually(() => isAlive(Number(pid))).toBe(false);
  });

  test('of a command that has ended meanwhile gives its result', async () => {
    const at = await prepare(shell('echo done'));
    await run(at);
    const environment = anEnvironment(2);
    environment.cancel();
    expect(await run(at, environment)).toEqual({ ok: true, summary: 'done' });
  });
});
