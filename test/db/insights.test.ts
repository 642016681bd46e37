import { beforeEach, describe, expect, test } from 'vitest';
import { recordIssues } from '../../db/halo.ts';
import { cyclesUsing, getInsight, listInsights, openInsights, recordResonance } from '../../db/insights.ts';
import type { FoundInsight } from '../../domain/resonance.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { aLearningCycle } from '../support/resonance.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;

// What a cycle leaves is all that is open: each test has insights of its own.
beforeEach(async () => {
  database = await openTestDatabase(12);
});

const about = (entity: string, more: Partial<FoundInsight> = {}): FoundInsight => ({
  ...{ key: `agent-unreliable|${entity}`, pattern: 'agent-unreliable', severity: 'medium', title: entity },
  ...{ entities: [entity], suggestedActions: ['Look.'], figures: { reliability: 0.3 } },
  ...more,
});
async function record(...found: FoundInsight[]): Promise<string> {
  const cycleId = await aLearningCycle(database);
  await recordResonance(database.db, { cycleId, found, links: [] });
  return cycleId;
}
const list = (filter: Parameters<typeof listInsights>[1] = {}, limit = 200) =>
  listInsights(database.db, filter, null, limit);
const told = () => database.root<{ payload: { insightId: string }; severity: string }[]>`
  select payload, severity from events where type = 'halo.insight.found' order by tx, seq`;

describe('an insight', () => {
  test('is found once, told once, and keeps its id while it holds', async () => {
    const first = await record(about('agent:a'));
    const second = await record(about('agent:a', { severity: 'high', figures: { reliability: 0.1 } }));
    const rows = await list();
    expect(rows).toMatchObject([
      { foundBy: first, lastSeenBy: second, severity: 'high', figures: { reliability: 0.1 }, endedAt: null },
    ]);
    expect(await told()).toMatchObject([{ payload: { insightId: rows[0]?.id }, severity: 'info' }]);
    expect(await openInsights(database.db)).toMatchObject([{ id: rows[0]?.id, entities: ['agent:a'] }]);
  });

  test('that no longer holds ends, and is another when it comes back', async () => {
    await record(about('agent:a'), about('agent:b'));
    await record(about('agent:b'));
    expect((await openInsights(database.db)).map(({ title }) => title)).toEqual(['agent:b']);
    const [ended] = await list({ state: 'ended' });
    expect(ended).toMatchObject({ title: 'agent:a', endedAt: expect.any(Date) as Date });
    await record(about('agent:a'), about('agent:b'));
    const again = await list({ entity: 'agent:a' });
    expect(again.map(({ endedAt }) => endedAt === null)).toEqual([true, false]);
    expect(again[0]?.id).not.toBe(ended?.id);
    expect(await getInsight(database.db, ended?.id ?? '')).toMatchObject({ endedAt: ended?.endedAt });
    expect(await told()).toHaveLength(3);
  });

  test('names entities of any characters, by which it is found', async () => {
    const odd = `agent:'"\\{}?%_\u{1F980} ü`;
    await record(about(odd), about('agent:plain'));
    expect((await list({ entity: odd })).map(({ title }) => title)).toEqual([odd]);
    expect(await list({ entity: 'agent:%' })).toEqual([]);
    expect(await list({ pattern: 'squad-strong' })).toEqual([]);
    expect(await list({ pattern: 'agent-unreliable', state: 'open' })).toHaveLength(2);
  });

  test('of many is one of the 100 that are kept: those forgotten first were seen longest ago', async () => {
    const agents = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, at) => about(`agent:${from + at}`));
    await record(...agents(0, 60));
    await record(...agents(60, 120));
    const kept = await list();
    expect(kept).toHaveLength(100);
    expect(kept.filter(({ endedAt }) => endedAt === null)).toHaveLength(60);
    await record(...agents(200, 300));
    const now = await list();
    expect([now.length, now.every(({ endedAt }) => endedAt === null)]).toEqual([100, true]);
    expect(await told()).toHaveLength(220);
  });

  test('is audited with the cycle that found it', async () => {
    const cycleId = await record(about('agent:a'));
    const [entry] = await database.root<{ body: string }[]>`
      select body from audit_entries where action = 'halo.insights.compute' and subject_id = ${cycleId}`;
    const [insight] = await list();
    expect(JSON.parse(entry?.body ?? '{}')).toMatchObject({
      actor: 'halo',
      detail: { found: [insight?.id] },
    });
  });
});

describe('cycles at once', () => {
  test('that find the same tell it once, and each of them has its say', async () => {
    const cycles = await Promise.all(Array.from({ length: 3 }, () => aLearningCycle(database)));
    const found = [about('agent:a'), about('agent:b')];
    await Promise.all(cycles.map((cycleId) => recordResonance(database.db, { cycleId, found, links: [] })));
    expect(await list()).toHaveLength(2);
    expect(await told()).toHaveLength(2);
    const audited = await database.root`select from audit_entries where action = 'halo.insights.compute'`;
    expect(audited).toHaveLength(3);
  });

  test('one whose insights end while it writes looks again, and tells what it finds as new', async () => {
    const first = await record(about('agent:a'));
    const late = await aLearningCycle(database);
    const holder = await database.root.reserve();
    await holder`select pg_advisory_lock(77)`;
    const ending = database.log`
      with ended as materialized (update insights set ended_at = now() where found_by = ${first} returning id)
      select pg_advisory_lock(77), pg_advisory_unlock(77) from ended`.execute();
    const waiting = async (query: string) =>
      (
        await database.root`
          select from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock' and query like ${query}`
      ).length;
    await eventually(() => waiting('%with ended as%')).toBe(1);
    const writing = recordResonance(database.db, { cycleId: late, found: [about('agent:a')], links: [] });
    await eventually(() => waiting('%update halo_cycles%')).toBe(1);
    await holder`select pg_advisory_unlock(77)`;
    holder.release();
    await Promise.all([ending, writing]);
    expect(await list({ state: 'ended' })).toMatchObject([{ foundBy: first, lastSeenBy: first }]);
    expect(await list({ state: 'open' })).toMatchObject([{ title: 'agent:a', foundBy: late }]);
    expect(await told()).toHaveLength(2);
  });
});

test('the cycles that an insight changed are those that named it, the newest first', async () => {
  await record(about('agent:a'), about('agent:b'));
  const [insight] = await list({ entity: 'agent:a' });
  if (insight === undefined) throw new Error('nothing was found');
  const use = async (insightsUsed: string[]) => {
    const cycleId = await aLearningCycle(database);
    await recordIssues(database.db, { cycleId, issues: [], weakPoints: [], insightsUsed });
    return cycleId;
  };
  const [first, , third] = [await use([insight.id]), await use([]), await use([insight.id, 'ins_other'])];
  const ids = async (limit: number) => (await cyclesUsing(database.db, insight, limit)).map(({ id }) => id);
  expect((await ids(5)).sort()).toEqual([first, third].sort());
  expect(await ids(1)).toHaveLength(1);
});
