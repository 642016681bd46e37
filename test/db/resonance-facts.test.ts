import { beforeEach, expect, test } from 'vitest';
import { failureWindow, rememberedEntities } from '../../db/resonance-facts.ts';
import { failsTogether } from '../../domain/entity-link.ts';
import { createPeople, openTestDatabase, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';
import { failedProbes, remember } from '../support/resonance.ts';

let database: TestDatabase;

// The window begins with the oldest event: each test has a log of its own.
beforeEach(async () => {
  database = await openTestDatabase(3);
  await database.root`truncate events`;
});

const day = 24 * 60;
const window = () => failureWindow(database.log);

test('a log without events, or with too few failures, is no window', async () => {
  expect(await window()).toEqual({ failures: [], buckets: 0 });
  await failedProbes(database, ['prb_1'], [10, 20]);
  expect(await window()).toEqual({ failures: [], buckets: 0 });
});

test('failures are counted in buckets of five minutes, once each, from the oldest event to now', async () => {
  await failedProbes(database, ['prb_1'], [600, 300, 300, 300, 0]);
  const { failures, buckets } = await window();
  const [first] = failures;
  expect(failures).toMatchObject([{ entity: 'endpoint:prb_1' }]);
  expect(first?.buckets).toHaveLength(3);
  expect(first?.buckets[0]).toBe(0);
  expect(first?.buckets[1]).toBe(60);
  // The present bucket is the last; the clock may have entered another since the events were written.
  expect([121, 122]).toContain(buckets);
  expect(first?.buckets.at(-1)).toBe(120);
});

test('what failed more than seven days ago does not count, and the window is seven days then', async () => {
  await failedProbes(database, ['prb_old'], [8 * day, 7 * day + 1, 7 * day + 2, 60]);
  await failedProbes(database, ['prb_edge'], [7 * day - 1, 7 * day - 30, 60]);
  const { failures, buckets } = await window();
  expect(failures.map(({ entity }) => entity)).toEqual(['endpoint:prb_edge']);
  expect(failures[0]?.buckets[0]).toBeLessThanOrEqual(1);
  expect([2_016, 2_017]).toContain(buckets);
});

test('of more failures than are read the newest count, and the window begins with the oldest of them', async () => {
  await failedProbes(database, ['prb_1'], [5_000, 4_000, 3_000, 600, 300, 0]);
  const { failures, buckets } = await failureWindow(database.log, 3);
  expect(failures).toEqual([{ entity: 'endpoint:prb_1', buckets: [0, 60, 120] }]);
  expect([121, 122]).toContain(buckets);
  // As many as there are is not more than are read: the window is the log's then.
  expect((await failureWindow(database.log, 7)).failures[0]?.buckets).toHaveLength(6);
});

test('ids of any characters come back as they are, and failures of other sources are nobody', async () => {
  const odd = `prb_'":,{}\\?%_\u{1F980} ü`;
  await failedProbes(database, [odd], [10, 100, 200]);
  await failedProbes(database, ['prb_foreign'], [10, 100, 200]);
  await database.root`update events set source_type = 'custom' where source_id = 'prb_foreign'`;
  expect((await window()).failures.map(({ entity }) => entity)).toEqual([`endpoint:${odd}`]);
});

test('a failed task is a failure of the agent of that attempt and of the squad', async () => {
  const { id } = await aTask(database, await createPeople(database));
  await database.root`truncate events`;
  await database.root`update tasks set squad = 'night shift' where id = ${id}`;
  for (const attempt of [1, 2, 3, 4]) {
    const agent = attempt === 4 ? 'agt_other' : 'agt_1';
    await database.root`
      insert into task_attempts (key, task_id, attempt, agent_id, executor, state, dispatched_by, digest)
      values (${`${id}:${attempt}`}, ${id}, ${attempt}, ${agent}, 'temporal', 'failed', 'x', 'x')`;
    await database.root`
      insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata, occurred_at, recorded_at)
      select 'evt_' || ${attempt}::int, 'squad.task.failed', 'squad', 'squad', ${id}, 'info', 'normal',
             jsonb_build_object('taskId', ${id}::text, 'attempt', ${attempt}::int), '{}'::jsonb, at, at
      from (select now() - make_interval(hours => ${attempt}::int) as at) as times`;
  }
  const { failures } = await window();
  expect(failures.map(({ entity, buckets }) => [entity, buckets.length])).toEqual([
    ['squad:night shift', 4],
    ['agent:agt_1', 3],
  ]);
  // A squad and its only agent fail together.
  expect(failsTogether(failures, 2_000)).toMatchObject([{ from: 'agent:agt_1', to: 'squad:night shift' }]);
});

test('of the remembered those come that can be an insight or a likeness, with all their traits', async () => {
  await remember(database, 'endpoint:bad', { reliability: 0.39 });
  await remember(database, 'endpoint:fair', { reliability: 0.4 });
  await remember(database, 'agent:bad', { reliability: 0.44 });
  await remember(database, 'agent:fair', { reliability: 0.45 });
  await remember(database, 'squad:good', { reliability: 0.76 });
  await remember(database, 'squad:fair', { reliability: 0.75 });
  await remember(database, 'spore:liked', { popularity: 0.71 });
  await remember(database, 'spore:fair', { popularity: 0.7 });
  await remember(database, "agent:it's", { reliability: 0.5, velocity: 0.6 });
  expect(await rememberedEntities(database.log)).toEqual(
    [
      { entity: "agent:it's", traits: { reliability: 0.5, velocity: 0.6 } },
      { entity: 'agent:bad', traits: { reliability: 0.44 } },
      { entity: 'endpoint:bad', traits: { reliability: 0.39 } },
      { entity: 'spore:liked', traits: { popularity: 0.71 } },
      { entity: 'squad:good', traits: { reliability: 0.76 } },
    ].sort((a, b) => (a.entity < b.entity ? -1 : 1)),
  );
});
