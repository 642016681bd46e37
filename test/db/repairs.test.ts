import { beforeAll, describe, expect, test } from 'vitest';
import { createHaloLearningActivities } from '../../activities/halo-learning.ts';
import { defaultRepairLimits } from '../../activities/repairs.ts';
import { getAutonomy } from '../../db/autonomy.ts';
import { newId } from '../../db/ids.ts';
import { listRepairs } from '../../db/repairs.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent } from '../support/factories.ts';
import { aPair, aProbe, aRepair, results } from '../support/repairs.ts';
import { auditOf } from './flow.ts';

let database: TestDatabase;
let people: People;
let agent: string;

beforeAll(async () => {
  database = await openTestDatabase(20);
  people = await createPeople(database);
  agent = await anAgent(database, people, { capabilities: ['*'] });
});

const learning = (given: Partial<typeof defaultRepairLimits> = {}) =>
  createHaloLearningActivities({ database, repairLimits: { ...defaultRepairLimits, ...given } });
const judge = (given: Partial<typeof defaultRepairLimits> = {}) =>
  learning(given).judgeRepairs({ cycleId: 'cyc_later' });
const row = async (taskId: string) => {
  const rows = await listRepairs(database.db, {}, null, 1000);
  return rows.find((repair) => repair.taskId === taskId);
};
const judgedEvents = (taskId: string) =>
  database.root<{ source: string; payload: Record<string, unknown> }[]>`
    select source_type as source, payload from events
    where type = 'halo.repair.judged' and correlation_id = ${taskId}`;

/** A probe with a normal, in trouble, and repaired; then what came after. */
async function story(given: { trouble?: string; after: string; peerAfter?: string; action?: string }) {
  const [target, peer] = [await aProbe(database, people), await aProbe(database, people)];
  const type = given.action ?? `repair.${newId('x').replace('_', '.')}`;
  await results(database, target, 'ssssssssss');
  await results(database, peer, 'ssssssssss');
  await results(database, target, given.trouble ?? 'ffffff');
  if (given.peerAfter !== undefined) await results(database, peer, 'ffffff');
  const taskId = await aRepair(database, people, agent, { target: `probe:${target}`, type });
  await results(database, target, given.after);
  await results(database, peer, given.peerAfter ?? '');
  return { taskId, target, type };
}

describe('what HALO proposed and what succeeded', () => {
  test('is watched from its first failure on', async () => {
    const { taskId, target } = await story({ after: '' });
    const [first] = await database.root<{ at: Date }[]>`
      select min(recorded_at) as at from events where source_id = ${target} and type = 'api.endpoint.failed'`;
    expect(await row(taskId)).toMatchObject({
      ...{ state: 'watching', target: `probe:${target}`, targetClass: 'probe', verdict: null },
      troubleSince: first?.at,
    });
  });

  test('is watched alone: not what failed, and not what others proposed', async () => {
    const failed = await aRepair(database, people, agent, { ok: false });
    const others = await aRepair(database, people, agent, { origin: 'api' });
    expect([await row(failed), await row(others)]).toEqual([undefined, undefined]);
  });
});

describe('a later cycle judges it from the log', () => {
  const well = 'ssssssssss';
  test.each([
    ['recovered-by-action', { after: well, peerAfter: 'ffffffffff' }, { helped: 1, failed: 0 }],
    ['recovered-anyway', { after: well, peerAfter: well }, { helped: 0, failed: 0 }],
    ['no-change', { after: 'ffffffffff' }, { helped: 0, failed: 1 }],
    ['worse', { trouble: 'fsfsfsfsfs', after: 'ffffffffff' }, { helped: 0, failed: 1 }],
  ])('%s', async (verdict, given, counts) => {
    const { taskId, target, type } = await story(given);
    await judge();
    await judge();
    const repair = await row(taskId);
    expect(repair).toMatchObject({
      state: 'judged',
      verdict,
      judgedBy: 'cyc_later',
      because: expect.any(String),
    });
    expect(await getAutonomy(database.db, { action: type, targetClass: 'probe' })).toMatchObject(counts);
    expect([...(await judgedEvents(taskId))]).toMatchObject([
      {
        source: 'halo',
        payload: {
          ...{ taskId, agentId: agent, action: type, target: `probe:${target}`, targetClass: 'probe' },
          ...{ verdict, because: repair?.because },
        },
      },
    ]);
    expect((await auditOf(database.root, taskId)).filter((action) => action === 'repair.judge')).toHaveLength(
      1,
    );
    expect((await learning().readLessons({ cycleId: 'c', entities: [] })).records[`${type}|probe`]).toEqual(
      counts,
    );
  });

  test('too early it stays watched, and is given up after the time given', async () => {
    const { taskId } = await story({ after: 'ss' });
    await judge();
    expect(await row(taskId)).toMatchObject({ state: 'watching' });
    await judge({ giveUpAfterMs: 0 });
    expect(await row(taskId)).toMatchObject({ state: 'not-judgeable', verdict: null });
    expect([...(await judgedEvents(taskId))]).toMatchObject([{ payload: { verdict: null } }]);
  });

  test('what comes after another repair of it is that one’s', async () => {
    const { taskId, target, type } = await story({ after: 'ff' });
    const second = await aRepair(database, people, agent, { target: `probe:${target}`, type });
    await results(database, target, 'ssssssssss');
    await judge();
    expect(await row(taskId)).toMatchObject({
      state: 'not-judgeable',
      because: expect.stringContaining('another'),
    });
    expect(await row(second)).toMatchObject({ state: 'judged', verdict: 'recovered-by-action' });
  });

  test('peers that somebody repaired too say nothing', async () => {
    const [target, peer] = [await aProbe(database, people), await aProbe(database, people)];
    for (const id of [target, peer]) await results(database, id, 'ssssssssssffffff');
    const taskId = await aRepair(database, people, agent, { target: `probe:${target}` });
    const other = await aRepair(database, people, agent, { target: `probe:${peer}`, origin: 'api' });
    for (const id of [target, peer]) await results(database, id, 'ssssssssss');
    await judge();
    expect(await row(other)).toBeUndefined();
    expect(await row(taskId)).toMatchObject({ verdict: 'recovered-by-action', view: { peers: [] } });
  });

  test('without a normal, and of what nothing is measured, it is not judgeable and says why', async () => {
    const fresh = await aProbe(database, people);
    await results(database, fresh, 'ffffff');
    const first = await aRepair(database, people, agent, { target: `probe:${fresh}` });
    const second = await aRepair(database, people, agent, { target: 'environment:production' });
    await judge();
    expect(await row(first)).toMatchObject({ because: expect.stringContaining('normal') });
    expect(await row(second)).toMatchObject({ because: expect.stringContaining('environment') });
  });

  test('an agent is judged by its signs of life', async () => {
    const silent = await anAgent(database, people);
    const [back, gone] = [
      await aRepair(database, people, agent, { target: `agent:${silent}` }),
      await aRepair(database, people, agent, { target: `agent:${newId('agt')}` }),
    ];
    await judge();
    expect(await row(back)).toMatchObject({ state: 'watching' });
    expect(await row(gone)).toMatchObject({ state: 'not-judgeable' });
    await database.root`update agents set state = 'online', last_seen_at = clock_timestamp() where id = ${silent}`;
    await judge();
    expect(await row(back)).toMatchObject({ state: 'judged', verdict: 'recovered-by-action' });
  });
});

describe('what judged repairs make of a pair', () => {
  test('past the threshold it is suggested and told, and nothing more', async () => {
    const action = `repair.${newId('x').replace('_', '.')}`;
    await aPair(database, action, { state: 'manual', helped: 4 });
    await story({ action, after: 'ssssssssss' });
    await judge();
    expect(await getAutonomy(database.db, { action, targetClass: 'probe' })).toMatchObject({
      ...{ state: 'suggested', streak: 5, helped: 5, version: 2, grantedBy: null },
    });
    const told = await database.root`
      select payload ->> 'state' as state, source_type as source from events
      where type = 'halo.autonomy.changed' and payload ->> 'action' = ${action}`;
    expect([...told]).toEqual([{ state: 'suggested', source: 'halo' }]);
  });

  test('of cycles that judge at once one counts', async () => {
    const { taskId, type } = await story({ after: 'ssssssssss' });
    await Promise.all(Array.from({ length: 6 }, () => judge()));
    expect(await getAutonomy(database.db, { action: type, targetClass: 'probe' })).toMatchObject({
      helped: 1,
    });
    expect(await judgedEvents(taskId)).toHaveLength(1);
  });
});

test('pages of repairs show each once, newest first', async () => {
  const all = (await listRepairs(database.db, {}, null, 1000)).map(({ taskId }) => taskId);
  const seen: string[] = [];
  for (let before: { at: Date; id: string } | null = null; ;) {
    const page: Awaited<ReturnType<typeof listRepairs>> = await listRepairs(database.db, {}, before, 2);
    const last = page.at(-1);
    if (last === undefined) break;
    seen.push(...page.map(({ taskId }) => taskId));
    before = { at: last.repairedAt, id: last.taskId };
  }
  expect(seen).toEqual(all);
});
