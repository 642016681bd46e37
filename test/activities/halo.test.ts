import { beforeAll, describe, expect, test } from 'vitest';
import { createHaloActivities } from '../../activities/halo.ts';
import { getHaloCycle, listProposals } from '../../db/halo.ts';
import { newId } from '../../db/ids.ts';
import { createProbe, getProbe, recordProbeResult } from '../../db/probes.ts';
import { cancelTask } from '../../db/task-end.ts';
import { getAgent } from '../../db/agents.ts';
import { detectWeakPoints } from '../../domain/halo.ts';
import { defaultHaloLimits } from '../../domain/halo-loop.ts';
import { planTasks, type Proposal } from '../../domain/plan.ts';
import { judgeProbe } from '../../domain/probe.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent } from '../support/factories.ts';
import { anIssue } from '../support/halo-record.ts';
import { aRepair } from '../support/repairs.ts';
import { freshTask } from '../db/flow.ts';

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase(20);
  people = await createPeople(database);
});

const halo = () => createHaloActivities({ database, limits: defaultHaloLimits });

async function aCycle(): Promise<string> {
  const cycleId = newId('cyc');
  const { beginCycle, recordIssues } = halo();
  await beginCycle({
    cycleId,
    mode: 'full',
    trigger: {},
    workflowId: `halo-cycle/${cycleId}`,
    runId: 'run-1',
  });
  await recordIssues({ cycleId, issues: [], weakPoints: [] });
  return cycleId;
}

function aProposal(entityId = newId('prb'), evidence = ['evt_1']): Proposal {
  const [proposal] = planTasks(
    detectWeakPoints([anIssue({ key: entityId, entityId, owner: people.admin, evidence })]),
  );
  if (proposal === undefined) throw new Error('nothing was planned');
  return proposal;
}

describe('analyzers on the record', () => {
  test('a failing endpoint is found with its owner and its evidence', async () => {
    const id = newId('prb');
    await createProbe(database.db, {
      id,
      name: id,
      method: 'GET',
      url: 'http://shop/',
      headers: {},
      body: null,
      assertions: { statusFrom: 200, statusTo: 299 },
      timeoutMs: 1000,
      intervalSeconds: null,
      allowPrivateNetwork: false,
      owner: people.admin,
      opKey: newId('op'),
    });
    const probe = await getProbe(database.db, id);
    if (probe === null) throw new Error('the probe is gone');
    const observation = { status: null, latencyMs: 1, body: '', error: 'timed out' };
    const judgement = judgeProbe(probe.assertions, observation);
    const { eventId } = await recordProbeResult(database.db, {
      probe,
      opKey: newId('op'),
      observation,
      judgement,
    });
    const issues = await halo().runAnalyzer({ cycleId: newId('cyc'), analyzer: 'endpoint-health' });
    expect(issues).toMatchObject([
      { entityId: id, severity: 'critical', owner: people.admin, evidence: [eventId] },
    ]);
  });

  test('an agent that fell silent is marked offline and found', async () => {
    const id = await anAgent(database, people);
    await database.root`
      update agents set state = 'online', last_seen_at = now() - interval '6 minutes' where id = ${id}`;
    const issues = await halo().runAnalyzer({ cycleId: newId('cyc'), analyzer: 'agent-health' });
    expect(issues).toMatchObject([{ entityId: id, severity: 'high', title: 'marked offline' }]);
    expect(await getAgent(database.db, id)).toMatchObject({ state: 'offline' });
  });
});

describe('proposals', () => {
  test('become tasks that wait for a person, for the agent that can do them (trap D1)', async () => {
    const agent = await anAgent(database, people);
    const cycleId = await aCycle();
    const proposal = aProposal();
    const [task] = await halo().proposeTasks({ cycleId, proposals: [proposal] });
    expect(await freshTask(database, task?.id ?? '')).toMatchObject({
      state: 'pending-approval',
      origin: 'halo',
      originId: cycleId,
      agentId: agent,
      requestedBy: people.admin,
      fingerprint: proposal.fingerprint,
      dispatchMode: 'manual',
    });
    expect(await getHaloCycle(database.db, cycleId)).toMatchObject({ state: 'proposing' });
  });

  test('made again by the same cycle are the same tasks', async () => {
    const cycleId = await aCycle();
    const proposals = [aProposal(), aProposal()];
    const first = await halo().proposeTasks({ cycleId, proposals });
    expect(await halo().proposeTasks({ cycleId, proposals })).toEqual(first);
    expect(first).toHaveLength(2);
  });

  test('of a later cycle join the open task with their evidence, and are new once it has ended', async () => {
    const target = newId('prb');
    const [first] = await halo().proposeTasks({ cycleId: await aCycle(), proposals: [aProposal(target)] });
    const again = { cycleId: await aCycle(), proposals: [aProposal(target, ['evt_2', 'evt_1'])] };
    expect(await halo().proposeTasks(again)).toEqual([]);
    expect(await freshTask(database, first?.id ?? '')).toMatchObject({
      evidence: ['evt_2', 'evt_1'],
      evidenceCount: 2,
    });
    await cancelTask(database.db, {
      taskId: first?.id ?? '',
      requestId: null,
      actor: 'test',
      reason: null,
      opKey: newId('op'),
    });
    expect(
      await halo().proposeTasks({ cycleId: await aCycle(), proposals: [aProposal(target)] }),
    ).toHaveLength(1);
  });

  test('for a target whose repair is being watched wait and are said on the cycle, unless a person asks', async () => {
    const agent = await anAgent(database, people);
    const probe = newId('prb');
    await aRepair(database, people, agent, { target: `probe:${probe}`, type: 'repair.api.endpoint' });
    const automatic = await aCycle();
    const unripe = [{ title: 'Repair x', target: 'probe:x', because: 'too fresh' }];
    const proposals = [aProposal(probe)];
    expect(await halo().proposeTasks({ cycleId: automatic, proposals, unripe })).toEqual([]);
    expect((await getHaloCycle(database.db, automatic))?.leftOut).toMatchObject([
      { target: 'probe:x', because: 'too fresh' },
      { target: `probe:${probe}`, because: expect.stringContaining('being watched') },
    ]);
    const cycleId = await aCycle();
    const made = await halo().proposeTasks({ cycleId, proposals, isAsked: true });
    expect(await listProposals(database.db, cycleId)).toMatchObject([
      { taskId: made[0]?.id, blastRadius: 0 },
    ]);
  });

  test('of eight cycles at once about one target make one task', async () => {
    const target = newId('prb');
    const cycles = await Promise.all(Array.from({ length: 8 }, aCycle));
    const made = await Promise.all(
      cycles.map((cycleId) => halo().proposeTasks({ cycleId, proposals: [aProposal(target)] })),
    );
    expect(made.flat()).toHaveLength(1);
  });
});
