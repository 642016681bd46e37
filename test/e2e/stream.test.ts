import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { beforeAll, expect, test } from 'vitest';
import { follow, type Follower } from '../support/event-stream.ts';
import { startSecondApi } from '../support/second-api.ts';
import { startTestStack, type TestStack } from '../support/stack.ts';

const readers = 50;
const wanted = 2_000;
const many = { DREAMNET_STREAMS_PER_PRINCIPAL: '60' };

let stack: TestStack;
let urls: string[];
let key: string;

beforeAll(async () => {
  stack = await startTestStack(many);
  urls = [stack.urls.api, await startSecondApi(stack, many)];
  key = readFileSync(stack.keys.admin, 'utf8').trim();
}, 240_000);

/** A reader as the standard asks for one: it comes again behind its last id whenever its stream breaks off. */
function createReader(url: string, query: string, after: string) {
  const ids: string[] = [];
  let breaks = 0;
  let current: Follower | null = null;
  let isDone = false;
  async function run(): Promise<void> {
    let lastId = after;
    while (!isDone) {
      try {
        current = await follow(url, { key, query, lastId });
        await current.ended;
        ids.push(...current.events().map(({ id }: { id: string }) => id));
        lastId = current.lastId() ?? lastId;
      } catch {
        await sleep(50);
      }
      if (!isDone) breaks += 1;
      current = null;
    }
  }
  const running = run();
  return {
    seen: (): string[] => [...ids, ...(current?.events().map(({ id }: { id: string }) => id) ?? [])],
    breaks: () => breaks,
    async stop() {
      isDone = true;
      current?.stop();
      await running;
    },
  };
}

/** Sends until the API has said that it is stored; an id that comes twice is stored once. */
async function send(url: string, number: number, sourceId: string): Promise<void> {
  const event = {
    id: `evt_${sourceId}_${number}`,
    type: 'streamed.event',
    source: { type: 'api', id: sourceId },
  };
  for (;;) {
    const answer = await fetch(`${url}/v1/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(event),
    }).catch(() => null);
    if (answer?.status === 202) return void (await answer.arrayBuffer());
    await answer?.arrayBuffer().catch(() => undefined);
    await sleep(20);
  }
}

test(`${readers} readers of two processes see each of ${wanted} events once and in order, while one is killed again and again`, async () => {
  const sourceId = 'stream-e2e';
  const { body } = await stack.admin<{ nextCursor: string }>('GET', '/v1/events?after=now');
  const all = Array.from({ length: readers }, (_, at) =>
    createReader(urls[at % 2] ?? '', `?sourceId=${sourceId}`, body.nextCursor),
  );
  let next = 0;
  const writers = Array.from({ length: 8 }, async () => {
    while (next < wanted) {
      const number = (next += 1);
      await send(urls[number % 2] ?? '', number, sourceId);
    }
  });
  for (const share of [0.2, 0.5, 0.8]) {
    await expect.poll(() => next, { timeout: 120_000, interval: 20 }).toBeGreaterThan(wanted * share);
    const { api } = stack.pids();
    process.kill(api, 'SIGKILL');
    await expect.poll(() => stack.pids().api, { timeout: 60_000, interval: 50 }).not.toBe(api);
  }
  await Promise.all(writers);
  const sql = postgres(stack.databaseUrl, { max: 1 });
  const rows = await sql`select id from events where source_id = ${sourceId} order by events.tx, events.seq`;
  await sql.end();
  const log = rows.map((row) => row.id as string);
  expect(log).toHaveLength(wanted);
  for (const reader of all)
    await expect.poll(() => reader.seen().length, { timeout: 60_000, interval: 100 }).toBe(wanted);
  await Promise.all(all.map((reader) => reader.stop()));
  for (const reader of all) expect(reader.seen()).toEqual(log);
  const ofKilled = all.filter((_, at) => at % 2 === 0);
  expect(ofKilled.every((reader) => reader.breaks() >= 3)).toBe(true);
  expect(all.filter((_, at) => at % 2 === 1).map((reader) => reader.breaks())).toEqual(ofKilled.map(() => 0));
}, 300_000);
