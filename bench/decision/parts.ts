import { startAgent, type Agent } from '../agent.ts';
import { notMeasured, type Bar } from '../report.ts';
import type { Stage } from '../stage.ts';
import { within } from '../until.ts';
import { measureIdle } from './idle.ts';
import { measureHistory, measureLatency } from './latency.ts';
import { measureRecovery } from './recovery.ts';
import { registerAgent } from './tasks.ts';
import { measureWaiting } from './waiting.ts';

export const decisionParts = ['latency', 'history', 'idle', 'waiting', 'recovery'] as const;

type Part = {
  title: string;
  limitMs: number;
  measure: (stage: Stage, agent: Agent, tasks: number) => Promise<Bar[]>;
};

const parts: Record<(typeof decisionParts)[number], Part> = {
  latency: { title: 'from a decision to its agent, idle', limitMs: 240_000, measure: measureLatency },
  history: { title: 'the history of an approved task', limitMs: 30_000, measure: measureHistory },
  idle: { title: 'nothing to do', limitMs: 60_000, measure: measureIdle },
  waiting: { title: 'many tasks wait for approval', limitMs: 900_000, measure: measureWaiting },
  recovery: { title: 'the worker is killed', limitMs: 300_000, measure: measureRecovery },
};

const taskQueue = 'bench-agent';

/** From a person's yes to the agent (DESIGN 10). A part that breaks counts as missed; the others are still measured. */
export async function benchDecision(
  stage: Stage,
  options: { tasks: number; only: string[] },
): Promise<Bar[]> {
  const { connection, namespace, log, signal } = stage;
  await registerAgent(stage, taskQueue);
  const agent = await startAgent({ connection, namespace, taskQueue });
  const bars: Bar[] = [];
  try {
    for (const name of decisionParts) {
      if (!options.only.includes(name)) continue;
      const { title, limitMs, measure } = parts[name];
      log.info(`${name}: ${title}`);
      const limited = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
      const work = measure({ ...stage, signal: limited }, agent, options.tasks);
      try {
        bars.push(...(await within(signal, title, limitMs, work)));
      } catch (error) {
        signal.throwIfAborted();
        log.warn(`${name}: ${error instanceof Error ? error.message : String(error)}`);
        bars.push(notMeasured(title));
        await work.catch(() => {});
      }
    }
  } finally {
    await agent.stop();
  }
  return bars;
}
