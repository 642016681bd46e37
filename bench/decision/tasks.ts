import { setTimeout as wait } from 'node:timers/promises';
import { getTask } from '../../db/tasks.ts';
import { isEnded } from '../../domain/task.ts';
import type { Agent } from '../agent.ts';
import type { Stage } from '../stage.ts';
import { until, within } from '../until.ts';

export type Proposal = { id: string; approvalId: string; digest: string };
export type Decided = {
  /** From just before the decision was sent until the agent was entered. */
  ms: number;
  /** 200 when the run had answered in time, 202 when the decision was still on its way. */
  status: number;
};

/** A run that has just reported itself still completes its workflow task; after this it only waits. */
export const settleMs = 50;
export const agentWaitMs = 30_000;
const taskType = 'bench.decide';

export async function registerAgent(stage: Stage, taskQueue: string): Promise<void> {
  await stage.admin.post('/v1/agents', {
    name: 'bench',
    role: 'Custom',
    capabilities: [taskType],
    executor: 'temporal',
    config: { taskQueue },
    maxConcurrency: 1000,
  });
}

export async function propose(stage: Stage, number: number): Promise<Proposal> {
  const { body } = await stage.admin.post<Proposal>('/v1/tasks', {
    type: taskType,
    title: `Bench task ${number}`,
    target: `bench-${number}`,
    targetRole: 'Custom',
    dispatchMode: 'auto',
    payload: { number },
  });
  const { id, approvalId, digest } = body;
  return { id, approvalId, digest };
}

/** Until its run has taken it over and does nothing but wait. */
export async function untilWaiting({ database, signal }: Stage, { id }: Proposal): Promise<void> {
  await until(signal, `the run of ${id} waits`, async () => {
    const task = await getTask(database.db, id);
    return task !== null && task.runId !== null;
  });
  await wait(settleMs, undefined, { signal });
}

async function untilEnded({ database, signal }: Stage, { id }: Proposal): Promise<void> {
  await until(signal, `${id} has ended`, async () => {
    const task = await getTask(database.db, id);
    return task !== null && isEnded(task.state);
  });
}

/** Approves a waiting task; comes back when nothing of it goes on any more. `before` is part of what is measured. */
export async function approve(
  stage: Stage,
  agent: Agent,
  proposal: Proposal,
  before: () => void = () => {},
): Promise<Decided> {
  const { id, approvalId, digest } = proposal;
  const entered = agent.entered(id);
  const sentAt = performance.now();
  before();
  const answer = stage.operator.post(`/v1/approvals/${approvalId}/decision`, { decision: 'approve', digest });
  const [at, { status }] = await Promise.all([
    within(stage.signal, `the decision on ${id} reaches the agent`, agentWaitMs, entered),
    answer,
  ]);
  await untilEnded(stage, proposal);
  return { ms: at - sentAt, status };
}
