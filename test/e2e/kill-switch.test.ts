import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { type Answer, startTestStack, type TestStack } from '../support/stack.ts';

type Task = { id: string; state: string; approvalId: string; digest: string; error: string | null };
type Switch = {
  state: string;
  epoch: number;
  held: { running: number; waiting: number; parked: number };
  release: { drained: number } | null;
};

const path = '/v1/kill-switch';
let stack: TestStack;

beforeAll(async () => {
  stack = await startTestStack();
});

const fileOf = (agent: string, kind = 'effects'): string => join(stack.dataDir, `${agent}.${kind}`);

function linesOf(file: string): string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
}

/** An agent with a target of its own, which is its name. */
async function anAgent(name: string, script: string): Promise<void> {
  const { status } = await stack.admin('POST', '/v1/agents', {
    ...{ name, role: 'DeployKeeper', capabilities: [`work.${name}`], executor: 'command' },
    config: {
      command: ['sh', '-c', script],
      env: { EFFECTS: fileOf(name), PIDS: fileOf(name, 'pids') },
    },
  });
  expect(status).toBe(201);
}

function propose(agent: string): Promise<Answer<Task>> {
  return stack.admin<Task>('POST', '/v1/tasks', {
    ...{ type: `work.${agent}`, title: `Work of ${agent}`, target: `thing:${agent}` },
    ...{ targetRole: 'DeployKeeper', dispatchMode: 'auto' },
  });
}

async function approve({ approvalId, digest }: Task): Promise<void> {
  const { status } = await stack.operator('POST', `/v1/approvals/${approvalId}/decision`, {
    ...{ decision: 'approve', digest, reason: 'seen' },
  });
  expect([200, 202]).toContain(status);
}

async function anApprovedTask(agent: string): Promise<Task> {
  const { status, body } = await propose(agent);
  expect(status).toBe(201);
  await approve(body);
  return body;
}

async function show(id: string): Promise<Task> {
  return (await stack.operator<{ task: Task }>('GET', `/v1/tasks/${id}`)).body.task;
}

async function until(id: string, state: string, withinMs = 45_000): Promise<Task> {
  await expect.poll(async () => (await show(id)).state, { timeout: withinMs, interval: 100 }).toBe(state);
  return show(id);
}

async function engage(agent: string, level = 'approve-only'): Promise<Switch> {
  const wanted = { scope: `target:thing:${agent}`, level, reason: 'it runs wild' };
  const { status, body } = await stack.operator<{ killSwitch: Switch }>('PUT', path, wanted);
  expect(status).toBe(200);
  return body.killSwitch;
}

async function release(agent: string, perMinute: number): Promise<void> {
  const wanted = { scope: `target:thing:${agent}`, reason: 'it is calm', perMinute };
  expect((await stack.operator('POST', `${path}/release`, wanted)).status).toBe(200);
}

async function switchOf(agent: string): Promise<Switch | undefined> {
  const { body } = await stack.operator<{ items: (Switch & { scope: string })[] }>('GET', path);
  return body.items.find(({ scope }) => scope === `target:thing:${agent}`);
}

async function untilParked(agent: string, count: number): Promise<void> {
  const parked = async () => (await switchOf(agent))?.held.parked;
  await expect.poll(parked, { timeout: 20_000, interval: 100 }).toBe(count);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('engaging ends a running command and what it had started within five seconds, and the task has failed', async () => {
  await anAgent('wild', 'sleep 60 & echo $$ $! > "$PIDS"; wait; echo done >> "$EFFECTS"');
  const task = await anApprovedTask('wild');
  await expect.poll(() => linesOf(fileOf('wild', 'pids')), { timeout: 20_000 }).toHaveLength(1);
  const pids = (linesOf(fileOf('wild', 'pids'))[0] ?? '').split(' ').map(Number);
  expect(pids.map(isAlive)).toEqual([true, true]);
  await engage('wild');
  const gone = { timeout: 5_000, interval: 50 };
  await expect.poll(() => pids.map(isAlive), gone).toEqual([false, false]);
  const failed = await until(task.id, 'failed', 5_000);
  expect(failed.error).toContain('stopped by the kill switch');
  expect(failed.error).toContain('it runs wild');
  expect(linesOf(fileOf('wild'))).toEqual([]);
  const { body } = await stack.operator<{ killSwitches: { scope: string }[] }>('GET', '/v1/status');
  expect(body.killSwitches.map(({ scope }) => scope)).toContain('target:thing:wild');
  // What was stopped stays stopped.
  await release('wild', 600);
  await sleep(2_500);
  expect((await show(task.id)).state).toBe('failed');
});

test('a task approved under a switch is parked, over a kill -9 of the worker too, and acts once after the release', async () => {
  await anAgent('patient', 'echo "$DREAMNET_EPOCH" >> "$EFFECTS"');
  const { epoch } = await engage('patient');
  const task = await anApprovedTask('patient');
  await untilParked('patient', 1);
  const worker = stack.pids().worker;
  process.kill(worker, 'SIGKILL');
  await expect.poll(() => stack.pids().worker, { timeout: 30_000 }).not.toBe(worker);
  expect((await show(task.id)).state).toBe('pending');
  expect(linesOf(fileOf('patient'))).toEqual([]);
  await release('patient', 600);
  await until(task.id, 'success');
  // Its agent was told the epoch of the switch that had held it.
  expect(linesOf(fileOf('patient'))).toEqual([String(epoch)]);
  expect(await switchOf('patient')).toMatchObject({ state: 'released', release: { drained: 1 } });
});

test('a proposal at the level observe is refused with the text of the switch; a release takes it again', async () => {
  await anAgent('quiet', 'echo done >> "$EFFECTS"');
  await engage('quiet', 'observe');
  const { status, body } = await propose('quiet');
  expect(status).toBe(409);
  expect(body).toMatchObject({
    code: 'CONFLICT',
    detail: expect.stringMatching(/kill switch over target:thing:quiet .*it runs wild/),
  });
  await release('quiet', 600);
  await until((await anApprovedTask('quiet')).id, 'success');
});

test('engaging again while a release drains parks the rest, and none of it acts twice', async () => {
  await anAgent('queue', 'echo "$DREAMNET_TASK_ID" >> "$EFFECTS"');
  await engage('queue');
  const tasks = [];
  for (let count = 0; count < 3; count += 1) tasks.push(await anApprovedTask('queue'));
  await untilParked('queue', 3);
  await release('queue', 12);
  await expect.poll(() => linesOf(fileOf('queue')).length, { timeout: 20_000, interval: 50 }).toBe(1);
  await engage('queue');
  // Longer than the time until the next turn.
  await sleep(6_000);
  expect(await switchOf('queue')).toMatchObject({ state: 'engaged', held: { parked: 2 } });
  expect(linesOf(fileOf('queue'))).toHaveLength(1);
  await release('queue', 600);
  for (const { id } of tasks) await until(id, 'success');
  expect(linesOf(fileOf('queue')).sort()).toEqual(tasks.map(({ id }) => id).sort());
});
