import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { heartbeat, sleep } from '@temporalio/activity';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { AgentCall, AgentResult } from '../domain/task.ts';
import { createFence } from './fence.ts';

/*
 * A whole agent: a Temporal worker with the one activity `runAgent` on a task queue of its own, and a sign of life over
 * HTTP. It holds no key that could approve anything; what reaches it has been approved by a person.
 */
const { values } = parseArgs({
  options: {
    api: { type: 'string' },
    'agent-id': { type: 'string' },
    'key-file': { type: 'string' },
    'task-queue': { type: 'string' },
    'done-file': { type: 'string' },
    'shop-port': { type: 'string' },
    'shop-pid-file': { type: 'string' },
  },
});
function option(name: keyof typeof values): string {
  const value = values[name];
  if (value !== undefined) return value;
  process.stderr.write(`--${name} is missing; demo/stage.ts shows how the agent is started.\n`);
  process.exit(2);
}
const doneFile = option('done-file');
const shopPort = option('shop-port');
const shopPidFile = option('shop-pid-file');
const healthUrl = `http://127.0.0.1:${shopPort}/health`;
const own: { shop: number | null } = { shop: null };

const mayAct = createFence();

async function runAgent(call: AgentCall): Promise<AgentResult> {
  const earlier = findDone(call.key);
  if (earlier !== null) return earlier;
  if (!mayAct(call))
    return { ok: false, summary: 'Nothing was done: a kill switch was engaged after this call was made.' };
  const { type, payload } = call.task;
  if (type !== 'repair.api.endpoint' || payload.url !== healthUrl)
    return { ok: false, summary: `Nothing was done: this agent only repairs ${healthUrl}.` };

  const before = readPid();
  await endProcess(before);
  const shop = spawn(
    process.execPath,
    [join(import.meta.dirname, 'shop.ts'), '--port', shopPort, '--pid-file', shopPidFile],
    { stdio: 'ignore' },
  );
  shop.on('error', () => {});
  own.shop = shop.pid ?? null;
  const until = Date.now() + call.timeoutMs / 2;
  while (!(await isHealthy())) {
    if (Date.now() > until)
      return { ok: false, summary: `The shop was started again, but ${healthUrl} does not answer 200.` };
    // A heartbeat is also how a cancellation gets here: `sleep` then throws, and the task ends as cancelled.
    heartbeat();
    await sleep(50);
  }
  const result = {
    ok: true,
    summary: `Restarted the shop: process ${before ?? '(gone)'} is now ${own.shop}.`,
    output: { pid: own.shop, before },
  };
  // Noted after the effect: a crash in between repeats a restart, which harms nobody. An agent whose effect must not
  // be repeated notes its intent first, and asks the other side what became of it when it finds only that.
  appendFileSync(doneFile, `${JSON.stringify({ key: call.key, result })}\n`);
  return result;
}

function findDone(key: string): AgentResult | null {
  if (!existsSync(doneFile)) return null;
  const lines = readFileSync(doneFile, 'utf8').trim().split('\n');
  const done = lines.map((line) => JSON.parse(line) as { key: string; result: AgentResult });
  return done.find((entry) => entry.key === key)?.result ?? null;
}

function readPid(): number | null {
  return existsSync(shopPidFile) ? Number(readFileSync(shopPidFile, 'utf8')) : null;
}

/** Sends a signal; false when there is no such process any more. Signal 0 only asks. */
function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

async function endProcess(pid: number | null): Promise<void> {
  if (pid === null || !send(pid, 'SIGTERM')) return;
  const patience = Date.now() + 3000;
  while (send(pid, Date.now() > patience ? 'SIGKILL' : 0)) await wait(20);
}

async function isHealthy(): Promise<boolean> {
  const answer = await fetch(healthUrl, { signal: AbortSignal.timeout(2000) }).catch(() => null);
  await answer?.body?.cancel();
  return answer?.status === 200;
}

async function beat(): Promise<void> {
  const url = `${option('api')}/v1/agents/${option('agent-id')}/beat`;
  const authorization = `Bearer ${readFileSync(option('key-file'), 'utf8').trim()}`;
  try {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { authorization },
      signal: AbortSignal.timeout(5000),
    });
    if (!answer.ok) process.stderr.write(`The sign of life was refused: ${await answer.text()}\n`);
  } catch (error) {
    // The next one may get through; silence shows on the other side anyway.
    process.stderr.write(`No sign of life could be given: ${String(error)}\n`);
  }
}

Runtime.install({ logger: new DefaultLogger('ERROR') });
const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
const connection = await NativeConnection.connect(connectionOptions);
const worker = await Worker.create({
  connection,
  namespace,
  taskQueue: option('task-queue'),
  activities: { runAgent },
  // An order to stop comes back with a heartbeat; the SDK would hold most of them back for half a minute.
  maxHeartbeatThrottleInterval: '1s',
});
await beat();
const beating = setInterval(() => void beat(), 15_000);
process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
// Ends at SIGTERM or SIGINT, after the call under way.
await worker.run();
clearInterval(beating);
// The shop is this agent's child only for the sake of the example; one under systemd would stay.
await endProcess(own.shop);
await connection.close();
