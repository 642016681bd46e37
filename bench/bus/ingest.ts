import { readFileSync } from 'node:fs';
import { atLeast, beside, percentile, type Bar } from '../report.ts';
import type { Stage } from '../stage.ts';
import { openLoad, type Load } from './load.ts';
import { startNaiveApi } from './naive-api.ts';

const connections = 100;
const batchSize = 100;
const batchConnections = 8;
const warmUpMs = 3_000;
const roundMs = 5_000;
const rounds = 5;

let count = 0;
const anEvent = (): object => ({
  type: 'bench.event.posted',
  source: { type: 'api', id: 'bench' },
  payload: { number: (count += 1), text: 'some words that an event may carry with it' },
});

const one = (): string => JSON.stringify(anEvent());
const batch = (): string => JSON.stringify(Array.from({ length: batchSize }, anEvent));

type Measured = { load: Load; perSecond: number[] };

function open({ stack, signal }: Stage, api: string, body: () => string, many: number): Measured {
  const key = readFileSync(stack.keys.admin, 'utf8').trim();
  return { load: openLoad({ api, key, connections: many, body, signal }), perSecond: [] };
}

/** Each in turn, first one first and then the other. */
async function inTurn({ log }: Stage, all: Measured[]): Promise<void> {
  for (const { load } of all) await load.run(warmUpMs);
  for (let round = 0; round < rounds; round += 1) {
    for (const { load, perSecond } of round % 2 === 0 ? all : all.toReversed())
      perSecond.push(await load.run(roundMs));
    const last = all.map(({ perSecond }) => Math.round(perSecond.at(-1) ?? 0)).join(' and ');
    log.info(`  round ${round + 1} of ${rounds}: ${last} requests/s`);
  }
}

/** Ours with group commit and the same API without, in turn; the ratio is that of rounds beside each other. */
export async function measurePosts(stage: Stage): Promise<Bar[]> {
  const naiveApi = await startNaiveApi(stage);
  const ours = open(stage, stage.stack.urls.api, one, connections);
  const naive = open(stage, naiveApi.url, one, connections);
  try {
    await inTurn(stage, [ours, naive]);
  } finally {
    await Promise.all([ours.load.close(), naive.load.close()]);
    await naiveApi.stop();
  }
  const ratios = ours.perSecond.map((each, at) => each / (naive.perSecond[at] ?? Number.NaN));
  return [
    atLeast('single posts by one INSERT per request', percentile(ratios, 50), 1.8, 'x'),
    beside('single posts, 100 connections', percentile(ours.perSecond, 50), 'events/s'),
    beside('the same with one INSERT per request', percentile(naive.perSecond, 50), 'events/s'),
  ];
}

export async function measureBatches(stage: Stage): Promise<Bar[]> {
  const ours = open(stage, stage.stack.urls.api, batch, batchConnections);
  try {
    await inTurn(stage, [ours]);
  } finally {
    await ours.load.close();
  }
  const perSecond = percentile(ours.perSecond, 50) * batchSize;
  return [
    atLeast(`posts of ${batchSize} events, ${batchConnections} connections`, perSecond, 15_000, 'events/s'),
  ];
}
