import { beforeAll, expect, test } from 'vitest';
import { createHaloActivities } from '../../activities/halo.ts';
import { agentSeries } from '../../db/agent-series.ts';
import { newId } from '../../db/ids.ts';
import { finishAttempt } from '../../db/task-end.ts';
import { defaultHaloLimits } from '../../domain/halo-loop.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent } from '../support/factories.ts';
import { aRunningTask } from './flow.ts';

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
});

/** A task of the agent that ended; its first event is told `times` times more. */
async function ended(agentId: string, ok: boolean, times = 0): Promise<string> {
  const task = await aRunningTask(database, people, agentId);
  const result = { ok, summary: 'ended' };
  await finishAttempt(database.db, { taskId: task.id, attempt: task.attempt, opKey: newId('op'), result });
  const type = ok ? 'squad.task.completed' : 'squad.task.failed';
  await database.root`
    insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata, occurred_at, recorded_at)
    select e.id || '_' || n, e.type, e.category, e.source_type, e.source_id, e.severity, e.priority, e.payload, e.metadata,
           e.occurred_at, e.recorded_at - make_interval(secs => n)
    from events e, generate_series(1, ${times}::int) as n where e.source_id = ${task.id} and e.type = ${type}`;
  return task.id;
}

const issuesOf = async (agentId: string) => {
  const { runAnalyzer } = createHaloActivities({ database, limits: defaultHaloLimits });
  const issues = await runAnalyzer({ cycleId: newId('cyc'), analyzer: 'agent-health' });
  return issues.filter(({ entityId }) => entityId === agentId);
};

test('an agent whose tasks fail is found with its figures, its owner and the newest five failures', async () => {
  const bad = await anAgent(database, people);
  const good = await anAgent(database, people);
  await ended(bad, false, 6);
  await ended(bad, true, 8);
  await ended(good, true, 20);
  const [issue, ...more] = await issuesOf(bad);
  expect(more).toEqual([]);
  expect(issue).toMatchObject({
    ...{ key: `${bad}:failing`, severity: 'medium', title: '7 of its newest 16 tasks failed' },
    ...{ owner: people.admin, observed: { failed: 7, ended: 16 } },
  });
  expect(issue?.evidence).toHaveLength(5);
  const rows = await database.root<{ type: string }[]>`
    select type from events where id in ${database.root(issue?.evidence ?? [])}`;
  expect(rows.map(({ type }) => type)).toEqual(Array.from({ length: 5 }, () => 'squad.task.failed'));
  expect(await issuesOf(good)).toEqual([]);
});

test('what ended before the window, or names no attempt, counts for nobody', async () => {
  const agent = await anAgent(database, people);
  const task = await ended(agent, false, 20);
  await database.root`update events set recorded_at = now() - interval '15 days' where source_id = ${task}`;
  expect((await agentSeries(database.db)).get(agent)).toBeUndefined();
  await database.root`
    update events set recorded_at = now(), payload = payload - 'attempt' where source_id = ${task}`;
  expect((await agentSeries(database.db)).get(agent)).toBeUndefined();
});
