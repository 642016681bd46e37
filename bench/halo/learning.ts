import { learnResonance } from '../../activities/resonance.ts';
import { type Database, openDatabase, type Sql } from '../../db/client.ts';
import { listLinks } from '../../db/entity-links.ts';
import { ensureEventPartitions } from '../../db/events.ts';
import { beginCycle } from '../../db/halo.ts';
import { newId } from '../../db/ids.ts';
import { listInsights } from '../../db/insights.ts';
import { migrateDatabase } from '../../db/migrate.ts';
import { mostLinks } from '../../domain/entity-link.ts';
import { ownDatabase } from '../bus/databases.ts';
import { atMost, beside, type Bar } from '../report.ts';
import type { Stage } from '../stage.ts';
import { loadEntities, measureLooks } from './analysis.ts';

const remembered = 1_000;
const attempts = 5;
const secondsBar = 2;
const growthBarMiB = 16;
const mostRead = 2_000;

/**
 * What a cycle learns of 20,000 and of 100,000 events, and of 1,000 remembered entities with four traits each, written
 * down with its links. All events are failures, over seven days and in episodes of common cause: more than any real log.
 */
export async function measureLearning(stage: Stage): Promise<Bar[]> {
  const urls = await ownDatabase(stage, 'bench_learning');
  await migrateDatabase(urls.migrateUrl);
  const database = openDatabase(urls.databaseUrl, { name: 'dreamnet-bench-learning', connections: 4 });
  try {
    await ensureEventPartitions(database.log);
    await loadEntities(database.log);
    await loadMemory(database.log);
    const measured: { seconds: number; peakMiB: number; issues: number }[] = [];
    let loaded = 0;
    for (const total of [20_000, 100_000]) {
      await loadFailures(database.log, loaded, total);
      loaded = total;
      stage.signal.throwIfAborted();
      await learn(database);
      measured.push(await measureLooks(() => learn(database)));
    }
    const [few, many] = measured;
    if (few === undefined || many === undefined) throw new Error('Nothing was measured.');
    const insights = await listInsights(database.db, { state: 'open' }, null, mostRead);
    if (many.issues < mostLinks || insights.length === 0)
      throw new Error(`Too little was learned: ${many.issues} links, ${insights.length} insights.`);
    return [
      beside('learned of 20,000 failures', few.seconds, 's'),
      atMost('learned of 100,000 failures', many.seconds, secondsBar, 's'),
      beside('peak memory of it, 20,000 failures', few.peakMiB, 'MiB'),
      beside('peak memory of it, 100,000 failures', many.peakMiB, 'MiB'),
      atMost('growth of it from 20,000 to 100,000', many.peakMiB - few.peakMiB, growthBarMiB, 'MiB'),
      beside('links found', many.issues, ''),
      beside('insights found', insights.length, ''),
    ];
  } finally {
    await database.close();
  }
}

/** One cycle's learning; answers how many links it left. */
async function learn(database: Database): Promise<number> {
  const cycleId = newId('cyc');
  const workflowId = `halo-cycle/${cycleId}`;
  await beginCycle(database.db, { cycleId, mode: 'full', trigger: { time: 1 }, workflowId, runId: cycleId });
  await learnResonance(database, cycleId);
  return (await listLinks(database.db, {}, null, mostRead)).length;
}

/** Entities of which half are worth an insight, and attempts of the tasks by fifty agents. */
async function loadMemory(log: Sql): Promise<void> {
  await log`
    with ids as (
      select n, case n % 4 when 0 then 'agent' when 1 then 'squad' when 2 then 'spore' else 'endpoint' end as kind
      from generate_series(1, ${remembered}::int) as n),
    known as (
      insert into memory_records (entity, kind) select kind || ':' || n, kind from ids returning entity)
    insert into memory_traits (entity, trait, value)
    select entity, trait, ((length(entity) + ord * 7 + hashtext(entity || trait) % 97 + 97) % 100) / 100.0
    from known, unnest(array['reliability', 'latency', 'velocity', 'popularity']) with ordinality as t(trait, ord)`;
  await log`
    insert into task_attempts (key, task_id, attempt, agent_id, executor, state, dispatched_by, digest)
    select t.id || ':' || n, t.id, n, 'agt_' || substr(t.id, 5)::int % 50, 'temporal', 'failed', 'bench', ''
    from tasks t, generate_series(1, ${attempts}::int) as n`;
}

/** Six seconds apart, so that 100,000 are seven days; in five minutes the endpoints of one group of twenty fail. */
async function loadFailures(log: Sql, from: number, to: number): Promise<void> {
  for (let start = from; start < to; start += 20_000)
    await log`
      insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata, occurred_at, recorded_at)
      select 'evt_' || n, case when is_task then 'squad.task.failed' else 'api.endpoint.failed' end,
             case when is_task then 'squad' else 'api' end, case when is_task then 'squad' else 'api' end,
             case when is_task then 'tsk_' || task else 'prb_' || endpoint end, 'error', 'normal',
             jsonb_build_object('taskId', 'tsk_' || task, 'attempt', n % ${attempts}::int + 1, 'latencyMs', 5), '{}'::jsonb, at, at
      from (
        select n, n % 10 = 0 as is_task, n / 10 % 2000 + 1 as task,
               (hashtext((n / 50)::text) % 10 + 10) % 10 * 20 + n % 20 + 1 as endpoint,
               now() - make_interval(secs => n * 6) as at
        from generate_series(${start}::int, ${Math.min(start + 20_000, to) - 1}::int) as n) as numbered`;
}
