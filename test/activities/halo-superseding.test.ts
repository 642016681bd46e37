import { beforeAll, expect, test } from 'vitest';
import { createHaloActivities } from '../../activities/halo.ts';
import { createHaloSupersedingActivities } from '../../activities/halo-superseding.ts';
import { newId } from '../../db/ids.ts';
import { createProbe, getProbe, recordProbeResult } from '../../db/probes.ts';
import type { NewTask } from '../../db/task-create.ts';
import type { TaskRow } from '../../db/tasks.ts';
import type { AnalyzerName, Issue } from '../../domain/analyzers/issue.ts';
import { defaultHaloLimits } from '../../domain/halo-loop.ts';
import type { IncidentSummary } from '../../domain/plan.ts';
import { judgeProbe } from '../../domain/probe.ts';
import { auditOf, freshTask } from '../db/flow.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent, aTask } from '../support/factories.ts';
import { anIssue } from '../support/halo-record.ts';

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase(20);
  people = await createPeople(database);
});

type Found = {
  issues?: Issue[];
  incidents?: IncidentSummary[];
  failed?: AnalyzerName[];
  ran?: AnalyzerName[];
};

/** A cycle that has recorded what it found; it answers the ids of the tasks that it supersedes. */
async function look({ issues = [], incidents = [], failed = [], ran }: Found = {}, proposed: string[] = []) {
  const halo = createHaloActivities({ database, limits: defaultHaloLimits });
  const cycleId = newId('cyc');
  const workflowId = `halo-cycle/${cycleId}`;
  await halo.beginCycle({ cycleId, mode: 'full', trigger: {}, workflowId, runId: 'run-1' });
  const analyses = (ran ?? (['endpoint-health', 'agent-health'] as const)).map((analyzer) => ({
    ...{ analyzer, state: failed.includes(analyzer) ? ('failed' as const) : ('done' as const) },
    ...{ tookMs: 1, issues: issues.filter((issue) => issue.analyzer === analyzer).length },
  }));
  await halo.recordIssues({ cycleId, issues, weakPoints: [], analyses, incidents });
  const superseding = createHaloSupersedingActivities({ database });
  const told = await superseding.supersedeProposals({ cycleId, proposed });
  return { cycleId, told, ids: told.map(({ taskId }) => taskId), superseding };
}

const aProposal = (target: string, given: Partial<NewTask> = {}): Promise<TaskRow> =>
  aTask(database, people, { origin: 'halo', originId: newId('cyc'), target, ...given });

async function anEndpoint(): Promise<{
  id: string;
  target: string;
  answers: (...results: boolean[]) => Promise<void>;
}> {
  const id = newId('prb');
  await createProbe(database.db, {
    ...{ id, name: id, method: 'GET', url: 'http://shop/', headers: {}, body: null },
    ...{ assertions: { statusFrom: 200, statusTo: 299 }, timeoutMs: 1000, intervalSeconds: null },
    ...{ allowPrivateNetwork: false, owner: people.admin, opKey: newId('op') },
  });
  const answers = async (...results: boolean[]): Promise<void> => {
    for (const ok of results) {
      const probe = await getProbe(database.db, id);
      if (probe === null) throw new Error('the probe is gone');
      const observation = { status: ok ? 200 : 503, latencyMs: 1, body: '', error: null };
      const judgement = judgeProbe(probe.assertions, observation);
      await recordProbeResult(database.db, { probe, opKey: newId('op'), observation, judgement });
    }
  };
  return { id, target: `probe:${id}`, answers };
}

test('an endpoint that answered three times in a row since the proposal is healthy again', async () => {
  const endpoint = await anEndpoint();
  await endpoint.answers(true, true, true, true);
  const task = await aProposal(endpoint.target);
  expect((await look()).ids).not.toContain(task.id);
  await endpoint.answers(true, true);
  expect((await look()).ids).not.toContain(task.id);
  await endpoint.answers(false, true, true);
  expect((await look()).ids).not.toContain(task.id);
  await endpoint.answers(true);
  const { cycleId, told } = await look();
  expect(told).toContainEqual({ taskId: task.id, workflowId: task.workflowId });
  expect(await freshTask(database, task.id)).toMatchObject({
    state: 'pending-approval',
    supersededBy: cycleId,
    supersededBecause: 'its target is healthy again: 3 good results in a row since the proposal',
  });
});

test('no health is taken from an analyzer that failed or did not run, nor against a finding (K18)', async () => {
  const endpoint = await anEndpoint();
  const task = await aProposal(endpoint.target);
  await endpoint.answers(true, true, true);
  const low = anIssue({ key: endpoint.id, entityId: endpoint.id, severity: 'low' });
  const looks: Found[] = [{ failed: ['endpoint-health'] }, { ran: ['agent-health'] }, { issues: [low] }];
  for (const found of looks) expect((await look(found)).ids).not.toContain(task.id);
  await database.root`update probes set enabled = false where id = ${endpoint.id}`;
  expect((await look()).ids).not.toContain(task.id);
  await database.root`update probes set enabled = true where id = ${endpoint.id}`;
  expect((await look()).ids).toContain(task.id);
});

test('an agent that was seen since the proposal is healthy again, one that was seen before is not', async () => {
  const agent = await anAgent(database, people);
  await database.root`update agents set state = 'online', last_seen_at = now() where id = ${agent}`;
  const task = await aProposal(`agent:${agent}`);
  expect((await look()).ids).not.toContain(task.id);
  await database.root`update agents set last_seen_at = clock_timestamp() where id = ${agent}`;
  expect((await look()).ids).toContain(task.id);
});

test('a mere member gives way to the proposal of its root, which stays', async () => {
  const [root, member] = [await anEndpoint(), await anEndpoint()];
  const [ours, theirs] = [await aProposal(root.target), await aProposal(member.target)];
  const issues = [root, member].map(({ id }) => anIssue({ key: id, entityId: id }));
  const incident = {
    root: root.target,
    name: 'database',
    members: [member.target],
    because: 'they depend on it',
  };
  const { ids, cycleId } = await look({ issues, incidents: [incident] }, [root.target]);
  expect(ids).toContain(theirs.id);
  expect(ids).not.toContain(ours.id);
  expect(await freshTask(database, theirs.id)).toMatchObject({
    supersededBy: cycleId,
    supersededBecause: expect.stringContaining(`database (${root.target})`) as string,
  });
  expect(await freshTask(database, ours.id)).toMatchObject({ supersededBy: null });
});

test('asked again, as after a lost answer, a cycle names the same runs, and has written nothing twice', async () => {
  const endpoint = await anEndpoint();
  const task = await aProposal(endpoint.target);
  await endpoint.answers(true, true, true);
  const { ids, cycleId, superseding } = await look();
  expect(ids).toContain(task.id);
  const again = await superseding.supersedeProposals({ cycleId, proposed: [] });
  expect(again.map(({ taskId }) => taskId)).toEqual(ids);
  expect(await auditOf(database.root, task.id)).toEqual(['task.create', 'task.supersede']);
});
