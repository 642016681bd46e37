import { startAgent, type Agent } from '../agent.ts';
import { measureParts, type Part } from '../parts.ts';
import type { Bar } from '../report.ts';
import type { Stage } from '../stage.ts';
import { measureIdle } from './idle.ts';
import { measureHistory, measureLatency } from './latency.ts';
import { measureRecovery } from './recovery.ts';
import { registerAgent } from './tasks.ts';
import { measureWaiting } from './waiting.ts';

export const decisionParts = ['latency', 'history', 'idle', 'waiting', 'recovery'] as const;

const partsOf = (agent: Agent, tasks: number): Record<(typeof decisionParts)[number], Part> => ({
  latency: {
    ...{ title: 'from a decision to its agent, idle', limitMs: 240_000 },
    measure: (stage) => measureLatency(stage, agent),
  },
  history: {
    ...{ title: 'the history of an approved task', limitMs: 30_000 },
    measure: (stage) => measureHistory(stage, agent),
  },
  idle: { title: 'nothing to do', limitMs: 60_000, measure: measureIdle },
  waiting: {
    ...{ title: 'many tasks wait for approval', limitMs: 900_000 },
    measure: (stage) => measureWaiting(stage, agent, tasks),
  },
  recovery: {
    ...{ title: 'the worker is killed', limitMs: 300_000 },
    measure: (stage) => measureRecovery(stage, agent),
  },
});

const taskQueue = 'bench-agent';

/** From a person's yes to the agent (DESIGN 10). */
export async function benchDecision(
  stage: Stage,
  options: { tasks: number; only: string[] },
): Promise<Bar[]> {
  const { connection, namespace } = stage;
  await registerAgent(stage, taskQueue);
  const agent = await startAgent({ connection, namespace, taskQueue });
  try {
    return await measureParts(stage, partsOf(agent, options.tasks), options.only);
  } finally {
    await agent.stop();
  }
}
