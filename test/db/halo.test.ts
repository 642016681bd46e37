import { beforeAll, describe, expect, test } from 'vitest';
import {
  beginCycle,
  beginProposing,
  failCycle,
  finishCycle,
  getHaloCycle,
  listHaloCycles,
  listHaloIssues,
  recordIssues,
} from '../../db/halo.ts';
import { newId } from '../../db/ids.ts';
import { detectWeakPoints } from '../../domain/halo.ts';
import { matchesEvent } from '../../domain/subscription.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { anIssue } from '../support/halo-record.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase();
});

async function aCycle(): Promise<string> {
  const cycleId = newId('cyc');
  await begin(cycleId);
  return cycleId;
}

const begin = (cycleId: string) =>
  beginCycle(database.db, {
    cycleId,
    mode: 'full',
    trigger: { manual: 1 },
    workflowId: `halo-cycle/${cycleId}`,
    runId: 'run-1',
  });

const issues = [
  anIssue({ key: 'a', severity: 'critical', title: 'down' }),
  anIssue({ key: 'b', severity: 'medium' }),
  anIssue({ key: 'c', severity: 'low' }),
];
const plan = (cycleId: string) =>
  recordIssues(database.db, { cycleId, issues, weakPoints: detectWeakPoints(issues) });

async function eventsOf(cycleId: string) {
  return [
    ...(await database.root<{ type: string; severity: string; source: string }[]>`
      select type, severity, source_type as source from events where correlation_id = ${cycleId}
      order by events.tx, events.seq`),
  ];
}

describe('a cycle', () => {
  test('goes from analyzing over planning and proposing to completed, each step told once', async () => {
    const id = await aCycle();
    expect(await getHaloCycle(database.db, id)).toMatchObject({ state: 'analyzing', trigger: { manual: 1 } });
    await plan(id);
    expect(await getHaloCycle(database.db, id)).toMatchObject({ state: 'planning' });
    await beginProposing(database.db, id);
    await finishCycle(database.db, { cycleId: id, taskIds: ['tsk_1'], weakPoints: 2 });
    const done = await getHaloCycle(database.db, id);
    expect(done).toMatchObject({ state: 'completed', taskIds: ['tsk_1'], endedAt: expect.any(Date) });
    expect(done?.weakPoints.map((point) => point.id)).toEqual(['endpoint-health:a', 'endpoint-health:b']);
    expect((await eventsOf(id)).map(({ type, severity }) => [type, severity])).toEqual([
      ['halo.cycle.started', 'info'],
      ['halo.cycle.planned', 'info'],
      ['halo.weakpoint.critical', 'critical'],
      ['halo.cycle.completed', 'warning'],
    ]);
    expect((await listHaloIssues(database.db, id)).map((issue) => issue.key).sort()).toEqual(['a', 'b', 'c']);
  });

  test('every step of it done again changes nothing', async () => {
    const id = await aCycle();
    for (let round = 0; round < 2; round += 1) {
      await begin(id);
      await plan(id);
      await beginProposing(database.db, id);
      await finishCycle(database.db, { cycleId: id, taskIds: [], weakPoints: 0 });
    }
    expect(await eventsOf(id)).toHaveLength(4);
    expect(await listHaloIssues(database.db, id)).toHaveLength(3);
    const rows = await database.root`select 1 as one from audit_entries where subject_id = ${id}`;
    expect(rows).toHaveLength(4);
  });

  test('steps out of order change nothing', async () => {
    const id = await aCycle();
    await finishCycle(database.db, { cycleId: id, taskIds: ['tsk_1'], weakPoints: 1 });
    await beginProposing(database.db, id);
    expect(await getHaloCycle(database.db, id)).toMatchObject({ state: 'analyzing', taskIds: [] });
  });

  test('fails from any step before its end, and not after it', async () => {
    const failing = await aCycle();
    await plan(failing);
    await failCycle(database.db, { cycleId: failing, error: 'boom' });
    expect(await getHaloCycle(database.db, failing)).toMatchObject({ state: 'failed', error: 'boom' });
    await beginProposing(database.db, failing);
    expect(await getHaloCycle(database.db, failing)).toMatchObject({ state: 'failed' });

    const done = await aCycle();
    await plan(done);
    await beginProposing(database.db, done);
    await finishCycle(database.db, { cycleId: done, taskIds: [], weakPoints: 0 });
    await failCycle(database.db, { cycleId: done, error: 'late' });
    expect(await getHaloCycle(database.db, done)).toMatchObject({ state: 'completed', error: null });
  });

  test('no event of it, of any kind or severity, can wake HALO again (K7)', async () => {
    const id = await aCycle();
    await plan(id);
    await failCycle(database.db, { cycleId: id, error: 'x' });
    const open = { types: [], minSeverity: 'info' as const, excludeSourceTypes: ['halo'] };
    const events = await eventsOf(id);
    expect(events).toHaveLength(4);
    for (const event of events)
      expect(
        matchesEvent(open, {
          type: event.type,
          severity: event.severity as 'info',
          sourceType: event.source as 'halo',
          sourceId: id,
        }),
      ).toBe(false);
  });

  test('pages of cycles show each once, newest first, also when they started in one moment', async () => {
    await database.root`update halo_cycles set started_at = '2026-01-01'`;
    const all = await listHaloCycles(database.db, null, 1000);
    const seen: string[] = [];
    for (let before: { startedAt: Date; id: string } | null = null; ;) {
      const page: typeof all = await listHaloCycles(database.db, before, 2);
      const last = page.at(-1);
      if (last === undefined) break;
      seen.push(...page.map((row) => row.id));
      before = last;
    }
    expect(seen).toEqual(all.map((row) => row.id));
    expect(seen).toEqual([...seen].sort().reverse());
  });
});
