import { beforeAll, expect, test } from 'vitest';
import { startTestStack, type TestStack } from '../support/stack.ts';

/* HALO under a storm, as its users have it: everything over HTTP, gathered and looked at by the real worker. */

const budget = 5;
let stack: TestStack;

beforeAll(async () => {
  stack = await startTestStack({
    DREAMNET_HALO_CYCLES_PER_HOUR: String(budget),
    DREAMNET_HALO_INTERVAL_MS: '0',
    DREAMNET_HALO_REQUESTS: '0',
  });
});

type Loop = {
  runningCycleId: string | null;
  pending: { because: string; triggers: Record<string, number> } | null;
  budgetLeft: number;
  counters: { name: string; reached: number }[];
};
type Cycle = { id: string; state: string; trigger: { eventIds: string[]; event: number } };
type Listed<T> = { items: T[] };

async function read<T>(path: string): Promise<T> {
  const { status, body } = await stack.operator<T>('GET', path);
  expect(status, JSON.stringify(body)).toBe(200);
  return body;
}

test('1,000 failures of one cause are one open proposal with its evidence and few cycles, and HALO never wakes itself', async () => {
  const made = await stack.admin<{ id: string }>('POST', '/v1/probes', {
    ...{ name: 'storm', url: 'http://127.0.0.1:1/health', allowPrivateNetwork: true },
  });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  const probeId = made.body.id;
  for (let run = 0; run < 3; run += 1) await stack.operator('POST', `/v1/probes/${probeId}/run`, {});
  for (let batch = 0; batch < 10; batch += 1) {
    const events = Array.from({ length: 100 }, (_, at) => ({
      ...{ type: 'api.endpoint.failed', source: { type: 'api', id: probeId }, severity: 'error' },
      payload: { probeId, order: batch * 100 + at },
    }));
    expect((await stack.operator('POST', '/v1/events', events)).status).toBe(202);
  }
  // The loop is at rest: nothing waits, or what waits is out of budget and says so.
  await expect
    .poll(
      async () => {
        const { pending, runningCycleId } = await read<Loop>('/v1/halo');
        const { items } = await read<Listed<Cycle>>('/v1/halo/cycles');
        const isAtRest = runningCycleId === null && (pending === null || pending.because === 'hourly budget');
        return isAtRest && items.length > 0 && items.every(({ state }) => state === 'completed');
      },
      { timeout: 90_000, interval: 300 },
    )
    .toBe(true);
  const { items: cycles } = await read<Listed<Cycle>>('/v1/halo/cycles');
  expect(cycles.length).toBeLessThanOrEqual(budget);
  const { counters } = await read<Loop>('/v1/halo');
  expect(counters.find(({ name }) => name === 'errors')?.reached).toBeGreaterThan(0);

  type Task = { id: string; state: string; evidence: string[] };
  const { items: tasks } = await read<Listed<Task>>(`/v1/tasks?target=probe:${probeId}`);
  expect(tasks).toHaveLength(1);
  const { task } = await read<{ task: Task }>(`/v1/tasks/${tasks[0]?.id}`);
  expect(task.state).toBe('pending-approval');
  expect(task.evidence).not.toEqual([]);

  type Logged = { id: string; source: { type: string } };
  const { items: critical } = await read<Listed<Logged>>('/v1/events?type=halo.weakpoint.critical');
  expect(critical).not.toEqual([]);
  const woken = cycles.flatMap(({ trigger }) => trigger.eventIds);
  expect(woken).not.toEqual([]);
  for (const { id } of critical) expect(woken).not.toContain(id);
});
