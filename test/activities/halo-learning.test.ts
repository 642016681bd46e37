import { beforeEach, describe, expect, test } from 'vitest';
import { createHaloActivities } from '../../activities/halo.ts';
import { createHaloLearningActivities } from '../../activities/halo-learning.ts';
import { listLinks } from '../../db/entity-links.ts';
import { getHaloCycle } from '../../db/halo.ts';
import { newId } from '../../db/ids.ts';
import { cyclesUsing, listInsights } from '../../db/insights.ts';
import { getProbe, recordProbeResult } from '../../db/probes.ts';
import { detectWeakPoints } from '../../domain/halo.ts';
import { defaultHaloLimits } from '../../domain/halo-loop.ts';
import { entityOf, raiseByInsights } from '../../domain/insight.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aProbe } from '../support/repairs.ts';
import { aLearningCycle, failedProbes, remember } from '../support/resonance.ts';

let database: TestDatabase;
let people: People;

// A cycle learns from all that is there: each test has a world of its own.
beforeEach(async () => {
  database = await openTestDatabase(6);
  people = await createPeople(database);
});

const learning = () => createHaloLearningActivities({ database });
async function learn(): Promise<string> {
  const cycleId = await aLearningCycle(database);
  await learning().computeInsights({ cycleId });
  return cycleId;
}
const links = () => listLinks(database.db, {}, null, 100);
const insights = () => listInsights(database.db, {}, null, 100);

describe('what a cycle learns from the log', () => {
  test('endpoints that fail together in three episodes are linked, and named by an insight', async () => {
    await failedProbes(database, ['prb_a', 'prb_b'], [30, 31, 120, 400]);
    await failedProbes(database, ['prb_alone'], [60, 200, 300]);
    const cycleId = await learn();
    expect(await links()).toMatchObject([
      {
        ...{ from: 'endpoint:prb_a', to: 'endpoint:prb_b', kind: 'fails-together', weight: 1 },
        ...{ foundBy: cycleId, figures: { episodes: 3 } },
      },
    ]);
    expect(await insights()).toMatchObject([
      { pattern: 'fails-together', severity: 'medium', entities: ['endpoint:prb_a', 'endpoint:prb_b'] },
    ]);
    const lessons = await learning().readLessons({
      cycleId,
      entities: ['endpoint:prb_a', 'endpoint:prb_b', 'endpoint:prb_alone'],
    });
    expect(lessons.links).toEqual([
      { from: 'endpoint:prb_a', to: 'endpoint:prb_b', kind: 'fails-together', weight: 1 },
    ]);
  });

  test('one long outage of two endpoints is no link, however many failures it has', async () => {
    const outage = Array.from({ length: 120 }, (_, minute) => 300 + minute);
    await failedProbes(database, ['prb_a', 'prb_b'], outage);
    await learn();
    expect([await links(), await insights()]).toEqual([[], []]);
  });

  test('a link that no cycle finds any more is gone, and its insight has ended', async () => {
    await failedProbes(database, ['prb_a', 'prb_b'], [30, 120, 400]);
    await learn();
    await database.root`delete from events where source_id = 'prb_b'`;
    await learn();
    expect(await links()).toEqual([]);
    expect(await insights()).toMatchObject([{ endedAt: expect.any(Date) as Date }]);
  });

  test('an empty log and nobody remembered teach nothing, and that is no error', async () => {
    await database.root`truncate events`;
    await learn();
    expect([await links(), await insights()]).toEqual([[], []]);
  });
});

test('insights of traits (LEDGER 1.2) are found, refreshed while they hold, and ended when they do not', async () => {
  await remember(database, 'endpoint:prb_a', { reliability: 0.1 });
  await remember(database, 'endpoint:prb_b', { reliability: 0.3 });
  await remember(database, 'agent:agt_a', { reliability: 0.44 });
  await remember(database, 'squad:s', { reliability: 0.8 });
  await remember(database, 'spore:x', { popularity: 0.9 });
  const first = await learn();
  const brief = async () =>
    (await insights()).map(({ pattern, severity, entities, endedAt }) => [
      ...[pattern, severity, entities.join(' '), endedAt === null ? 'open' : 'ended'],
    ]);
  expect((await brief()).sort()).toEqual([
    ['agent-unreliable', 'medium', 'agent:agt_a', 'open'],
    ['endpoints-unreliable', 'high', 'endpoint:prb_a endpoint:prb_b', 'open'],
    ['spore-popular', 'medium', 'spore:x', 'open'],
    ['squad-strong', 'low', 'squad:s', 'open'],
  ]);
  await remember(database, 'endpoint:prb_c', { reliability: 0 });
  await remember(database, 'agent:agt_a', { reliability: 0.6 });
  const second = await learn();
  expect((await brief()).sort()).toEqual([
    ['agent-unreliable', 'medium', 'agent:agt_a', 'ended'],
    ['endpoints-unreliable', 'high', 'endpoint:prb_c endpoint:prb_a endpoint:prb_b', 'open'],
    ['spore-popular', 'medium', 'spore:x', 'open'],
    ['squad-strong', 'low', 'squad:s', 'open'],
  ]);
  for (const { pattern, foundBy, lastSeenBy } of await insights())
    expect([pattern, foundBy, lastSeenBy]).toEqual([
      ...[pattern, first, pattern === 'agent-unreliable' ? first : second],
    ]);
});

test('entities that are remembered alike are linked, and no longer than they are alike', async () => {
  await remember(database, 'agent:a', { reliability: 0.2, velocity: 0.9 });
  await remember(database, 'agent:b', { reliability: 0.3, velocity: 0.8 });
  await remember(database, 'squad:c', { reliability: 0.3, velocity: 0.8 });
  await learn();
  expect(await links()).toMatchObject([{ from: 'agent:a', to: 'agent:b', kind: 'resembles' }]);
  await remember(database, 'agent:b', { reliability: 0.9, velocity: 0.2 });
  await learn();
  expect(await links()).toEqual([]);
});

/** An answer that makes no more than a high weak point. */
async function refused(id: string): Promise<void> {
  const probe = await getProbe(database.db, id);
  if (probe === null) throw new Error('the probe is gone');
  await recordProbeResult(database.db, {
    ...{ probe, opKey: newId('op'), observation: { status: 404, latencyMs: 20, body: '', error: null } },
    judgement: { ok: false, failures: ['status 404'], severity: 'error' },
  });
}

test('what one cycle leaves raises and orders the weak points of the next, which names it (trap D9)', async () => {
  const halo = createHaloActivities({ database, limits: defaultHaloLimits });
  const probes = [
    await aProbe(database, people),
    await aProbe(database, people),
    await aProbe(database, people),
  ];
  const [fine = '', bad = '', worse = ''] = probes;
  for (const id of probes) await refused(id);
  /** A cycle as its workflow runs it, from real analyzers to what it records. */
  const look = async () => {
    const cycleId = await aLearningCycle(database);
    const { issues } = await halo.examine({ cycleId, analyzer: 'endpoint-health' });
    const lessons = await learning().readLessons({ cycleId, entities: issues.map(entityOf) });
    const { weakPoints, used } = raiseByInsights(detectWeakPoints(issues), lessons.insights);
    await halo.recordIssues({ cycleId, issues, weakPoints, insightsUsed: used });
    await learning().computeInsights({ cycleId });
    const cycle = await getHaloCycle(database.db, cycleId);
    const severityOf = (probeId: string) =>
      cycle?.weakPoints.find(({ id }) => id.includes(probeId))?.severity;
    return {
      ...{ cycleId, used: cycle?.insightsUsed, last: weakPoints.at(-1)?.entityId },
      severities: probes.map(severityOf),
    };
  };
  // They have failed before: one of them seldom.
  await remember(database, `endpoint:${fine}`, { reliability: 0.9 });
  await remember(database, `endpoint:${bad}`, { reliability: 0.3 });
  await remember(database, `endpoint:${worse}`, { reliability: 0.1 });
  const first = await look();
  expect(first.used).toEqual([]);
  expect(first.severities).toEqual(['high', 'high', 'high']);
  const [insight] = await insights();
  if (insight === undefined) throw new Error('nothing was learned');
  expect(insight).toMatchObject({ severity: 'high', foundBy: first.cycleId });

  const second = await look();
  expect(second.used).toEqual([insight.id]);
  expect([second.severities, second.last]).toEqual([['high', 'critical', 'critical'], fine]);
  expect((await cyclesUsing(database.db, insight, 5)).map(({ id }) => id)).toEqual([second.cycleId]);

  // Once they are reliable again, the cycle that sees it still heeds the insight, and the one after does not.
  for (const id of [bad, worse]) await remember(database, `endpoint:${id}`, { reliability: 0.9 });
  expect((await look()).used).toEqual([insight.id]);
  const last = await look();
  expect([last.used, last.severities]).toEqual([[], ['high', 'high', 'high']]);
});
