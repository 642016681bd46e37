import { beforeAll, expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { squadSnapshots } from '../../db/squad-series.ts';
import { analyzeSquads } from '../../domain/analyzers/squad-efficiency.ts';
import type { TaskRole } from '../../domain/task.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
});

/** A task that ended so often in each way, the newest end last. */
async function ended(
  squad: string | null,
  { failed = 0, completed = 0, role = 'DreamOps' }: { failed?: number; completed?: number; role?: TaskRole },
): Promise<string> {
  const { id } = await aTask(database, people, { targetRole: role });
  await database.root`update tasks set squad = ${squad}, state = 'success', ended_at = now() where id = ${id}`;
  await database.root`
    insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata, occurred_at, recorded_at)
    select 'evt_' || ${id} || '_' || n, case when n <= ${failed}::int then 'squad.task.failed' else 'squad.task.completed' end,
           'squad', 'squad', ${id}, 'info', 'normal', '{}'::jsonb, '{}'::jsonb, now(), now() - make_interval(secs => n)
    from generate_series(1, ${failed + completed}::int) as n`;
  return id;
}

async function aSquad(name: string, ageDays: number): Promise<void> {
  await database.root`
    insert into squads (name, description, owner, created_at)
    values (${name}, '', ${people.admin}, now() - make_interval(days => ${ageDays}::int))`;
}

const snapshotOf = async (squad: string) =>
  (await squadSnapshots(database.db)).find((each) => each.squad === squad);
const issuesOf = async (squad: string) =>
  analyzeSquads(await squadSnapshots(database.db)).filter(({ entityId }) => entityId === squad);

test('how the tasks of a squad ended is counted by squad, with the newest five failures', async () => {
  await aSquad('night', 30);
  const one = await ended('night', { failed: 7 });
  await ended('night', { completed: 9 });
  await ended('day', { completed: 4 });
  expect(await issuesOf('night')).toMatchObject([
    {
      ...{ severity: 'high', owner: people.admin, observed: { failed: 7, ended: 16 } },
      evidence: [1, 2, 3, 4, 5].map((n) => `evt_${one}_${n}`),
    },
  ]);
  expect(await issuesOf('day')).toEqual([]);
});

test('tasks without a squad count under their role', async () => {
  await ended(null, { failed: 11, role: 'NarrativeWeaver' });
  expect(await issuesOf('role/NarrativeWeaver')).toMatchObject([{ entityKind: 'squad', severity: 'high' }]);
});

test('what ended before the window does not count', async () => {
  const id = await ended('past', { failed: 20 });
  await database.root`update events set recorded_at = now() - interval '15 days' where source_id = ${id}`;
  expect(await snapshotOf('past')).toBeUndefined();
});

test('a squad is idle since its last task, or since it was made; one with an open task is not', async () => {
  const days = async (squad: string) => Math.floor((await snapshotOf(squad))?.idleForDays ?? -1);
  await aSquad('rest', 9);
  expect(await days('rest')).toBe(9);
  expect(await issuesOf('rest')).toMatchObject([{ severity: 'low', title: 'no task for 9 days' }]);
  const id = await ended('rest', {});
  await database.root`update tasks set ended_at = now() - interval '8 days' where id = ${id}`;
  expect(await days('rest')).toBe(8);
  await database.root`update tasks set state = 'pending', ended_at = null where id = ${id}`;
  expect(await days('rest')).toBe(0);
  expect(await issuesOf('rest')).toEqual([]);
});

test('an event that names a task which does not exist counts nowhere', async () => {
  const before = await squadSnapshots(database.db);
  await database.root`
    insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata, occurred_at)
    values (${newId('evt')}, 'squad.task.failed', 'squad', 'squad', 'tsk_nobody', 'error', 'normal', '{}'::jsonb, '{}'::jsonb, now())`;
  expect((await squadSnapshots(database.db)).map(({ squad }) => squad)).toEqual(
    before.map(({ squad }) => squad),
  );
});
