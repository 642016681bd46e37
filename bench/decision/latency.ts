import { taskWorkflowId } from '../../domain/names.ts';
import type { Agent } from '../agent.ts';
import { atMost, beside, percentile, type Bar } from '../report.ts';
import type { Stage } from '../stage.ts';
import { startPeer } from './peer.ts';
import { approve, propose, untilWaiting, type Proposal } from './tasks.ts';

const warmUp = 30;
const rounds = 200;
const progressEvery = 50;

/** One decision at a time on an idle system, in turn with a bare workflow on the same server. */
export async function measureLatency(stage: Stage, agent: Agent): Promise<Bar[]> {
  const peer = await startPeer(stage, agent);
  const ours: number[] = [];
  const bare: number[] = [];
  let last: Proposal | null = null;
  const measureOurs = async (round: number): Promise<void> => {
    last = await propose(stage, round);
    await untilWaiting(stage, last);
    const { ms } = await approve(stage, agent, last);
    if (round >= warmUp) ours.push(ms);
  };
  const measureBare = async (round: number): Promise<void> => {
    const ms = await peer.measure(String(round));
    if (round >= warmUp) bare.push(ms);
  };
  try {
    for (let round = 0; round < warmUp + rounds; round += 1) {
      const inTurn = [measureOurs, measureBare];
      for (const measure of round % 2 === 0 ? inTurn : inTurn.toReversed()) await measure(round);
      if ((round + 1) % progressEvery === 0)
        stage.log.info(`  ${round + 1} of ${warmUp + rounds} decisions, ${warmUp} of them to warm up`);
    }
  } finally {
    await peer.stop();
  }
  const [ours50, ours99] = [percentile(ours, 50), percentile(ours, 99)];
  const [bare50, bare99] = [percentile(bare, 50), percentile(bare, 99)];
  return [
    atMost('decision to agent, idle, p50', ours50, 30, 'ms'),
    atMost('decision to agent, idle, p99', ours99, 80, 'ms'),
    beside('bare workflow, p50', bare50, 'ms'),
    beside('bare workflow, p99', bare99, 'ms'),
    beside('ours by bare, p50', ours50 / bare50, 'x'),
    beside('ours by bare, p99', ours99 / bare99, 'x'),
  ];
}

/** How many events an approved task leaves in Temporal. */
export async function measureHistory(stage: Stage, agent: Agent): Promise<Bar[]> {
  const proposal = await propose(stage, 0);
  await untilWaiting(stage, proposal);
  await approve(stage, agent, proposal);
  const handle = stage.client.workflow.getHandle(taskWorkflowId(proposal.id, 1));
  await handle.result();
  const { events } = await handle.fetchHistory();
  return [atMost('history of an approved task', events?.length ?? 0, 30, 'events')];
}
