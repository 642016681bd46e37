import { setTimeout as sleep } from 'node:timers/promises';
import { NativeConnection, Worker } from '@temporalio/worker';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentCall } from '../../domain/task.ts';
import { startSecondApi } from '../support/second-api.ts';
import { type Answer, startTestStack, type TestStack } from '../support/stack.ts';
import { aQueue } from '../support/worker.ts';

const rounds = Number(process.env.DREAMNET_TEST_ROUNDS ?? 200);
const people = 32;

type Task = { id: string; approvalId: string; digest: string; state: string };
type Person = { id: string; name: string; key: string };
type Problem = { code: string; details: { decidedBy: string; decidedAt: string; state: string } };

let stack: TestStack;
let apis: string[];
let voters: Person[];
const effects = new Map<string, number>();

async function aPerson(number: number): Promise<Person> {
  const name = `voter-${number}`;
  const made = await stack.admin<{ id: string }>('POST', '/v1/principals', { name, role: 'operator' });
  expect(made.status).toBe(201);
  const { id } = made.body;
  const issued = await stack.admin<{ key: string }>('POST', '/v1/keys', { principalId: id, label: name });
  expect(issued.status).toBe(201);
  return { id, name, key: issued.body.key };
}

beforeAll(async () => {
  stack = await startTestStack();
  const sql = postgres(stack.databaseUrl, { max: 1 });
  await sql`update principals set tier = 'unmetered'`;
  voters = [];
  for (let number = 1; number <= people; number += 1) voters.push(await aPerson(number));
  await sql`update principals set tier = 'unmetered'`;
  await sql.end();
  apis = [stack.urls.api, await startSecondApi(stack)];
  const taskQueue = aQueue('many-deciders');
  const { status } = await stack.admin('POST', '/v1/agents', {
    name: 'counter',
    role: 'DeployKeeper',
    capabilities: ['count.*'],
    executor: 'temporal',
    config: { taskQueue },
    maxConcurrency: 1000,
  });
  expect(status).toBe(201);
  const connection = await NativeConnection.connect({ address: stack.temporal.TEMPORAL_ADDRESS ?? '' });
  const worker = await Worker.create({
    connection,
    taskQueue,
    activities: {
      runAgent(call: AgentCall) {
        effects.set(call.task.id, (effects.get(call.task.id) ?? 0) + 1);
        return { ok: true, summary: 'counted' };
      },
    },
  });
  const ended = worker.run();
  afterAll(async () => {
    worker.shutdown();
    await ended;
    await connection.close();
  });
}, 240_000);

async function aTask(round: number): Promise<Task> {
  const { status, body } = await stack.admin<Task>('POST', '/v1/tasks', {
    type: 'count.once',
    title: `Round ${round}`,
    target: `round:${round}`,
    targetRole: 'DeployKeeper',
    dispatchMode: 'auto',
  });
  expect(status).toBe(201);
  return body;
}

/** Decides, and asks again while the answer is only that the decision is on its way. */
async function decide(task: Task, voter: Person, at: number, tries = 50): Promise<Answer> {
  const response = await fetch(`${apis[at % 2]}/v1/approvals/${task.approvalId}/decision`, {
    method: 'POST',
    headers: { authorization: `Bearer ${voter.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      decision: at % 3 === 2 ? 'reject' : 'approve',
      digest: task.digest,
      reason: 'seen',
    }),
  });
  const body = (await response.json()) as never;
  if (response.status === 202 && tries > 0) {
    await sleep(200);
    return decide(task, voter, at, tries - 1);
  }
  return { status: response.status, body, headers: response.headers };
}

describe('32 people decide at one instant, over two API processes', () => {
  test(`one decision counts in each of ${rounds} rounds, every other one learns who was faster and when`, async () => {
    const approved: string[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const task = await aTask(round);
      const answers = await Promise.all(voters.map((voter, at) => decide(task, voter, at + round)));
      const won = answers.flatMap(({ status }, at) => (status === 200 ? [voters[at]] : []));
      expect(won, `round ${round}: ${answers.map(({ status }) => status).join(' ')}`).toHaveLength(1);
      const { body } = await stack.operator<{ state: string; votes: { name: string; at: string }[] }>(
        'GET',
        `/v1/approvals/${task.approvalId}`,
      );
      expect(body.votes.map(({ name }) => name)).toEqual([won[0]?.name]);
      for (const { status, body: problem } of answers.filter((answer) => answer.status !== 200)) {
        const { code, details } = problem as unknown as Problem;
        expect({ status, code, by: details.decidedBy, state: details.state }).toEqual({
          status: 409,
          code: 'CONFLICT',
          by: won[0]?.name,
          state: body.state,
        });
        expect(details.decidedAt).toMatch(/^\d{4}-/);
      }
      if (body.state === 'approved') approved.push(task.id);
    }
    const ends = async (): Promise<string[]> => {
      const shown = approved.map((id) =>
        stack.operator<{ task: Task & { error: string } }>('GET', `/v1/tasks/${id}`),
      );
      return (await Promise.all(shown)).flatMap(({ body: { task } }) =>
        task.state === 'success' ? [] : [`${task.id} ${task.state} ${task.error}`],
      );
    };
    await expect.poll(ends, { timeout: 60_000 }).toEqual([]);
    expect([...effects.keys()].sort()).toEqual([...approved].sort());
    expect(Math.max(0, ...effects.values())).toBe(approved.length === 0 ? 0 : 1);
    // Void unless both ways of ending were seen.
    expect(approved.length).toBeGreaterThan(0);
    expect(approved.length).toBeLessThan(rounds);
  }, 900_000);
});
