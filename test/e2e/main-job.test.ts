import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { Worker } from '@temporalio/worker';
import postgres from 'postgres';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Answer, type Caller, startTestStack, type TestStack } from '../support/stack.ts';
import { workflowBundle } from '../support/worker.ts';

type Task = {
  id: string;
  state: string;
  run: number;
  attempt: number;
  approvalId: string;
  digest: string;
  outcomeUnknown: boolean;
  temporal: { workflowId: string; runId: string | null; url: string };
};
type Shown = { task: Task };

let stack: TestStack;
let effects: string;

beforeAll(async () => {
  stack = await startTestStack();
  effects = join(stack.dataDir, 'effects.txt');
});

/** An agent that leaves one line per effect, after a pause. */
async function aCommandAgent(name: string, script: string): Promise<string> {
  const { status, body } = await stack.admin<{ agent: { id: string } }>('POST', '/v1/agents', {
    name,
    role: 'DeployKeeper',
    capabilities: [`work.${name}`],
    executor: 'command',
    config: { command: ['sh', '-c', script], env: { EFFECTS: effects } },
  });
  expect(status).toBe(201);
  return body.agent.id;
}

async function aTask(agent: string, more: Record<string, unknown> = {}): Promise<Task> {
  const { status, body } = await stack.admin<Task>('POST', '/v1/tasks', {
    type: `work.${agent}`,
    title: `Work of ${agent}`,
    target: `thing:${agent}`,
    targetRole: 'DeployKeeper',
    dispatchMode: 'auto',
    ...more,
  });
  expect(status).toBe(201);
  return body;
}

async function show(id: string): Promise<Task> {
  return (await stack.operator<Shown>('GET', `/v1/tasks/${id}`)).body.task;
}

async function until(id: string, state: string): Promise<Task> {
  await expect.poll(async () => (await show(id)).state, { timeout: 45_000, interval: 100 }).toBe(state);
  return show(id);
}

function decide(
  who: Caller,
  task: Pick<Task, 'approvalId' | 'digest'>,
  decision: 'approve' | 'reject' = 'approve',
): Promise<Answer> {
  return who('POST', `/v1/approvals/${task.approvalId}/decision`, {
    decision,
    digest: task.digest,
    reason: 'seen',
  });
}

function countEffects(line: string): number {
  if (!existsSync(effects)) return 0;
  return readFileSync(effects, 'utf8')
    .split('\n')
    .filter((each) => each === line).length;
}

describe('a task from proposal to effect', () => {
  test('the requester cannot approve on any path, another person can, and the agent acts once', async () => {
    await aCommandAgent('plain', 'echo plain >> "$EFFECTS"; echo done');
    const task = await aTask('plain');
    expect((await decide(stack.admin, task)).status).toBe(403);
    const ticket = await stack.admin('POST', `/v1/approvals/${task.approvalId}/tickets`, {
      decision: 'approve',
    });
    expect(ticket.status).toBe(403);
    // A decision nobody recorded, sent straight to the run.
    const forged = await stack.client.workflow.getHandle(task.temporal.workflowId).executeUpdate('decide', {
      args: [
        {
          approvalId: task.approvalId,
          decision: 'approve',
          principalId: 'prn_operator',
          digest: task.digest,
        },
      ],
    });
    expect(forged).toMatchObject({ accepted: false, refused: 'FORBIDDEN' });
    expect((await show(task.id)).state).toBe('pending-approval');
    expect((await decide(stack.operator, task)).status).toBe(200);
    await until(task.id, 'success');
    expect(countEffects('plain')).toBe(1);
  });

  test('a GET never decides (F3)', async () => {
    const task = await aTask('plain');
    const { status } = await stack.operator('GET', `/v1/approvals/${task.approvalId}/decision`);
    expect([404, 405]).toContain(status);
    expect((await show(task.id)).state).toBe('pending-approval');
  });

  test('a late decision learns who decided and when', async () => {
    const task = await aTask('plain');
    await decide(stack.operator, task, 'reject');
    const late = await decide(stack.operator, task);
    expect(late.status).toBe(409);
    expect(late.body).toMatchObject({
      code: 'CONFLICT',
      details: { decidedBy: 'operator', state: 'rejected' },
    });
    expect((late.body.details as { decidedAt: string }).decidedAt).toMatch(/^\d{4}-/);
  });

  test('a raw signal is refused and audited; the same signal with a ticket counts, and once', async () => {
    const task = await aTask('plain', { dispatchMode: 'manual' });
    const handle = stack.client.workflow.getHandle(task.temporal.workflowId);
    await handle.signal('approval', {
      approvalId: task.approvalId,
      decision: 'approve',
      principalId: 'prn_operator',
    });
    const { status, body } = await stack.operator<{ ticket: string }>(
      'POST',
      `/v1/approvals/${task.approvalId}/tickets`,
      { decision: 'approve' },
    );
    expect(status).toBe(201);
    expect((await show(task.id)).state).toBe('pending-approval');
    await handle.signal('approval', { ticket: body.ticket });
    await until(task.id, 'pending');
    await handle.signal('approval', { ticket: body.ticket });
    const sql = postgres(stack.databaseUrl, { max: 1 });
    const refused = await sql<{ action: string }[]>`
      select action from audit_entries where outcome = 'refused' and subject_id = ${task.temporal.workflowId}`;
    const approved =
      await sql`select 1 from audit_entries where action = 'approval.approve' and subject_id = ${task.approvalId}`;
    await sql.end();
    expect(refused.length).toBeGreaterThan(0);
    expect(approved).toHaveLength(1);
  });

  test('what runs is what was approved: a changed agent voids the approval (F7)', async () => {
    const agentId = await aCommandAgent('moved', 'echo moved >> "$EFFECTS"');
    const task = await aTask('moved', { dispatchMode: 'manual' });
    await decide(stack.operator, task);
    await stack.admin('PATCH', `/v1/agents/${agentId}`, {
      config: { command: ['sh', '-c', 'echo other >> "$EFFECTS"'], env: { EFFECTS: effects } },
      expectedVersion: 1,
    });
    const dispatched = await stack.operator('POST', `/v1/tasks/${task.id}/dispatch`, {});
    expect(dispatched.status).toBe(412);
    const now = await until(task.id, 'pending-approval');
    expect(now.approvalId).not.toBe(task.approvalId);
    expect((await decide(stack.operator, task)).status).not.toBe(200);
    expect((await decide(stack.operator, now)).status).toBe(200);
    expect((await stack.operator('POST', `/v1/tasks/${task.id}/dispatch`, {})).status).toBe(200);
    await until(task.id, 'success');
    expect(countEffects('moved')).toBe(0);
    expect(countEffects('other')).toBe(1);
  });

  test('only a pending task is dispatched (trap D3), and a failed one can be retried (trap D14)', async () => {
    await aCommandAgent(
      'flaky',
      'test -e "$EFFECTS.flaky" && exit 0; touch "$EFFECTS.flaky"; echo no luck >&2; exit 3',
    );
    const task = await aTask('flaky');
    expect((await stack.operator('POST', `/v1/tasks/${task.id}/dispatch`, {})).status).toBe(409);
    await decide(stack.operator, task);
    await until(task.id, 'failed');
    expect((await stack.operator('POST', `/v1/tasks/${task.id}/dispatch`, {})).status).toBe(409);
    const retried = await stack.operator('POST', `/v1/tasks/${task.id}/retry`, {});
    expect(retried.status).toBeLessThan(300);
    const done = await until(task.id, 'success');
    expect(done).toMatchObject({ run: 2, attempt: 2 });
    expect((await stack.operator('POST', `/v1/tasks/${task.id}/retry`, {})).status).toBe(409);
    const events = await stack.operator<{ items: { type: string }[] }>(
      'GET',
      `/v1/events?correlationId=${task.id}`,
    );
    expect(events.body.items.map((event) => event.type)).toContain('squad.task.failed');
  });

  test('a running command is stopped on request', async () => {
    await aCommandAgent('slow', 'sleep 60; echo slow >> "$EFFECTS"');
    const task = await aTask('slow');
    await decide(stack.operator, task);
    await until(task.id, 'running');
    await stack.operator('POST', `/v1/tasks/${task.id}/cancel`, { reason: 'enough' });
    await until(task.id, 'cancelled');
    expect(countEffects('slow')).toBe(0);
  });
});

describe('outages', () => {
  test('kill -9 of the worker while an agent acts: the run completes, the effect happened once', async () => {
    await aCommandAgent('steady', 'echo begun >> "$EFFECTS"; sleep 3; echo steady >> "$EFFECTS"');
    const task = await aTask('steady');
    await decide(stack.operator, task);
    await expect.poll(() => countEffects('begun'), { timeout: 20_000 }).toBe(1);
    const worker = stack.pids().worker;
    process.kill(worker, 'SIGKILL');
    await until(task.id, 'success');
    expect(stack.pids().worker).not.toBe(worker);
    expect([countEffects('begun'), countEffects('steady')]).toEqual([1, 1]);
  });

  test('a decision while the worker is away is kept and delivered once', async () => {
    await aCommandAgent('later', 'echo later >> "$EFFECTS"');
    const task = await aTask('later');
    process.kill(stack.pids().worker, 'SIGSTOP');
    const stopped = stack.pids().worker;
    const answer = await decide(stack.operator, task);
    process.kill(stopped, 'SIGCONT');
    expect([200, 202]).toContain(answer.status);
    await until(task.id, 'success');
    expect(countEffects('later')).toBe(1);
  });

  test('a task stored while Temporal is away starts when it is back', async () => {
    const temporal = stack.pids().temporal ?? 0;
    process.kill(temporal, 'SIGSTOP');
    const { status, body } = await stack.admin<Task>('POST', '/v1/tasks', {
      type: 'work.later',
      title: 'Stored while Temporal is away',
      target: 'thing:later',
      targetRole: 'DeployKeeper',
      dispatchMode: 'auto',
    });
    process.kill(temporal, 'SIGCONT');
    expect([201, 202]).toContain(status);
    await expect
      .poll(async () => (await show(body.id)).temporal.runId, { timeout: 45_000, interval: 200 })
      .not.toBeNull();
    expect((await decide(stack.operator, body)).status).toBeLessThan(300);
    await until(body.id, 'success');
  });

  test('a run terminated in Temporal leaves no task behind that waits for nobody', async () => {
    const task = await aTask('plain');
    await stack.client.workflow.getHandle(task.temporal.workflowId).terminate('by hand');
    await until(task.id, 'cancelled');
    expect((await decide(stack.operator, task)).status).toBe(409);
  });

  test('a storm of deciders leaves one decision and a run that goes on', async () => {
    const people = await Promise.all(
      Array.from({ length: 32 }, async (_, index) => {
        const name = `decider-${index}`;
        const made = await stack.admin<{ id: string }>('POST', '/v1/principals', {
          name,
          kind: 'human',
          role: 'operator',
        });
        const key = await stack.admin<{ key: string }>('POST', '/v1/keys', {
          principalId: made.body.id,
          label: 'e2e',
        });
        return stack.as(key.body.key);
      }),
    );
    for (let round = 0; round < 5; round += 1) {
      const task = await aTask('plain', { dispatchMode: 'manual' });
      const answers = await Promise.all(
        people.map((who, index) => decide(who, task, index % 2 === 0 ? 'approve' : 'reject')),
      );
      const statuses = answers.map((answer) => answer.status);
      expect(statuses.filter((status) => status === 200)).toHaveLength(1);
      expect(statuses.filter((status) => status >= 500)).toEqual([]);
      await expect.poll(async () => (await show(task.id)).state).toMatch(/^(pending|rejected)$/);
    }
  });
});

describe('HALO', () => {
  test('a failing endpoint becomes one task that waits for a person (traps D1, D2)', async () => {
    const { body: probe } = await stack.admin<{ id: string }>('POST', '/v1/probes', {
      name: 'nobody-home',
      url: 'http://127.0.0.1:1/health',
      allowPrivateNetwork: true,
    });
    for (let run = 0; run < 3; run += 1) await stack.operator('POST', `/v1/probes/${probe.id}/run`, {});
    const find = async (): Promise<Task[]> =>
      (await stack.operator<{ items: Task[] }>('GET', `/v1/tasks?target=probe:${probe.id}`)).body.items;
    await expect.poll(async () => (await find()).length, { timeout: 30_000, interval: 200 }).toBe(1);
    // A second look finds the same cause and adds to the open proposal.
    await stack.operator('POST', '/v1/halo/cycles', { mode: 'full' });
    await expect
      .poll(
        async () =>
          (await stack.operator<{ items: { state: string }[] }>('GET', '/v1/halo/cycles')).body.items,
        { timeout: 30_000, interval: 200 },
      )
      .toSatisfy(
        (cycles: { state: string }[]) =>
          cycles.length >= 2 && cycles.every(({ state }) => state === 'completed'),
      );
    const tasks = await find();
    expect(tasks).toHaveLength(1);
    expect(tasks[0]).toMatchObject({
      state: 'pending-approval',
      type: 'repair.api.endpoint',
      origin: 'halo',
    });
  });

  test('a pause sent past the API does nothing; the API pauses and resumes', async () => {
    const paused = async () => (await stack.operator<{ paused: boolean }>('GET', '/v1/halo')).body.paused;
    const handle = stack.client.workflow.getHandle('halo');
    for (const requestId of [undefined, 'dec_made_up']) {
      const forged = { paused: true, principalId: 'prn_operator', requestId };
      expect(await handle.executeUpdate('setPaused', { args: [forged] })).toMatchObject({
        refused: 'FORBIDDEN',
      });
    }
    expect(await paused()).toBe(false);
    expect((await stack.operator('POST', '/v1/halo/pause', {})).status).toBe(200);
    expect(await paused()).toBe(true);
    expect((await stack.operator('POST', '/v1/halo/pause', {})).status).toBe(409);
    expect((await stack.operator('POST', '/v1/halo/resume', {})).status).toBe(200);
    expect(await paused()).toBe(false);
    // A pause whose API process died before it could send it is not carried out later.
    const sql = postgres(stack.databaseUrl, { max: 1 });
    await sql`
      insert into decision_requests (id, action, source, subject_id, workflow_id, principal_id, state, created_at)
      values ('dec_orphan', 'pause', 'api', 'halo', 'halo', 'prn_operator', 'open', now() - interval '10 seconds')`;
    const orphan = async () => sql`select state from decision_requests where id = 'dec_orphan'`;
    await expect.poll(orphan, { timeout: 10_000 }).toMatchObject([{ state: 'refused' }]);
    await sql.end();
    expect(await paused()).toBe(false);
    const { body } = await stack.operator<{ items: { actor: string; action: string; outcome: string }[] }>(
      'GET',
      '/v1/audit?limit=200',
    );
    const tried = body.items.filter(({ actor, action }) => actor === 'unproven' && action === 'halo.pause');
    expect(tried.map(({ outcome }) => outcome)).toEqual(['refused', 'refused']);
  });
});

describe('afterwards', () => {
  test('every run of this file replays on this code', async () => {
    const failed: string[] = [];
    let replayed = 0;
    for await (const run of stack.client.workflow.list()) {
      const handle = stack.client.workflow.getHandle(run.workflowId, run.runId);
      const history: unknown = JSON.parse(historyToJSON(await handle.fetchHistory()));
      await Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, history).catch(
        (error: unknown) => {
          failed.push(`${run.workflowId}: ${String(error)}`);
        },
      );
      replayed += 1;
    }
    expect(failed).toEqual([]);
    expect(replayed).toBeGreaterThan(10);
  });

  test('the audit chain has no hole and every hash fits', async () => {
    const sql = postgres(stack.databaseUrl, { max: 1 });
    const [row] = await sql<{ entries: number; broken: number }[]>`
      select count(*)::int as entries, count(*) filter (where not (
        hash = encode(sha256(convert_to(prev_hash || E'\n' || chain_no || E'\n'
                 || to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || E'\n' || body || E'\n' || result, 'UTF8')), 'hex')
        and prev_hash = coalesce(previous, repeat('0', 64)) and chain_no = place))::int as broken
      from (select *, lag(hash) over (order by chain_no) as previous, row_number() over (order by chain_no) as place
            from audit_entries) as entry`;
    await sql.end();
    expect(row?.entries).toBeGreaterThan(50);
    expect(row?.broken).toBe(0);
  });
});
