import type { Agent } from '../agent.ts';
import { atMost, beside, percentile, type Bar } from '../report.ts';
import type { Stage } from '../stage.ts';
import { until } from '../until.ts';
import { approve, propose, untilWaiting } from './tasks.ts';

const rounds = 8;
// A worker that lived shorter has the supervisor wait before the next start, as for one that dies again and again.
const lifeMs = 11_000;

/** The worker is killed in the moment somebody decides. */
export async function measureRecovery(stage: Stage, agent: Agent): Promise<Bar[]> {
  const { stack, signal, log } = stage;
  const times: number[] = [];
  const starts: number[] = [];
  let late = 0;
  let bornAt = performance.now();
  for (let round = 0; round < rounds; round += 1) {
    const proposal = await propose(stage, round);
    await untilWaiting(stage, proposal);
    await until(signal, 'the worker is settled', () => performance.now() - bornAt > lifeMs, { everyMs: 100 });
    const old = stack.pids().worker;
    const killedAt = performance.now();
    const back = until(signal, 'the worker is back', () => stack.pids().worker !== old).then(() => {
      bornAt = performance.now();
      starts.push(bornAt - killedAt);
    });
    const kill = (): void => void process.kill(old, 'SIGKILL');
    const [{ ms, status }] = await Promise.all([approve(stage, agent, proposal, kill), back]);
    times.push(ms);
    if (status === 202) late += 1;
    log.info(`  round ${round + 1} of ${rounds}: ${Math.round(ms)} ms, answered ${status}`);
  }
  return [
    atMost('kill -9 of the worker to agent, p95', percentile(times, 95), 5000, 'ms'),
    beside('kill -9 of the worker to agent, p50', percentile(times, 50), 'ms'),
    beside('the worker is ready again, p50', percentile(starts, 50), 'ms'),
    beside(`decisions answered 202, of ${rounds}`, late, ''),
  ];
}
