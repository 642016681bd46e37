import { endpointSnapshots } from '../../db/endpoint-series.ts';
import { squadSnapshots } from '../../db/squad-series.ts';
import { openDatabase, type Sql } from '../../db/client.ts';
import { ensureEventPartitions } from '../../db/events.ts';
import { migrateDatabase } from '../../db/migrate.ts';
import { analyzeEndpointLook } from '../../domain/analyzers/endpoint-health.ts';
import { analyzeSquads } from '../../domain/analyzers/squad-efficiency.ts';
import { ownDatabase } from '../bus/databases.ts';
import { atMost, beside, type Bar } from '../report.ts';
import type { Stage } from '../stage.ts';

const endpoints = 200;
const squads = 20;
const looks = 3;
const secondsBar = 2;
const growthBarMiB = 16;

/**
 * Endpoints and squads analyzed over 20,000 and over 100,000 events of one log, nine in ten of them results of probes
 * and the rest ends of tasks (issue 6: at most 2 s, with flat memory).
 */
export async function measureAnalysis(stage: Stage): Promise<Bar[]> {
  const urls = await ownDatabase(stage, 'bench_analysis');
  await migrateDatabase(urls.migrateUrl);
  const database = openDatabase(urls.databaseUrl, { name: 'dreamnet-bench-analysis', connections: 2 });
  try {
    await ensureEventPartitions(database.log);
    await loadEntities(database.log);
    const analyze = async (): Promise<number> => {
      const issues = analyzeEndpointLook(await endpointSnapshots(database.db));
      return issues.length + analyzeSquads(await squadSnapshots(database.db)).length;
    };
    const measured: { seconds: number; peakMiB: number; issues: number }[] = [];
    let loaded = 0;
    for (const total of [20_000, 100_000]) {
      await loadEvents(database.log, loaded, total);
      loaded = total;
      stage.signal.throwIfAborted();
      await analyze();
      measured.push(await measureLooks(analyze));
    }
    const [few, many] = measured;
    if (few === undefined || many === undefined) throw new Error('Nothing was measured.');
    if (many.issues === 0) throw new Error('The analyzers found nothing in a log that has outages.');
    return [
      beside('endpoints and squads analyzed, 20,000 events', few.seconds, 's'),
      atMost('endpoints and squads analyzed, 100,000 events', many.seconds, secondsBar, 's'),
      beside('peak memory of a look, 20,000 events', few.peakMiB, 'MiB'),
      beside('peak memory of a look, 100,000 events', many.peakMiB, 'MiB'),
      atMost('growth of it from 20,000 to 100,000', many.peakMiB - few.peakMiB, growthBarMiB, 'MiB'),
      beside('issues found', many.issues, ''),
    ];
  } finally {
    await database.close();
  }
}

/** The slowest of some looks, and the most memory that was in use beyond that before it. */
export async function measureLooks(analyze: () => Promise<number>) {
  let [seconds, peakMiB, issues] = [0, 0, 0];
  for (let look = 0; look < looks; look += 1) {
    globalThis.gc?.();
    const before = process.memoryUsage().rss;
    let peak = before;
    const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 5);
    const startedAt = performance.now();
    issues = await analyze();
    seconds = Math.max(seconds, (performance.now() - startedAt) / 1000);
    clearInterval(watch);
    peakMiB = Math.max(peakMiB, (Math.max(peak, process.memoryUsage().rss) - before) / 2 ** 20);
  }
  return { seconds, peakMiB, issues };
}

/** Endpoints, squads and their tasks. */
export async function loadEntities(log: Sql): Promise<void> {
  await log`
    insert into principals (id, kind, name, role, status) values ('prn_bench', 'human', 'bench', 'operator', 'active')
    on conflict do nothing`;
  await log`
    insert into probes (id, name, method, url, headers, assertions, timeout_ms, allow_private_network, owner, state, last_result)
    select 'prb_' || n, 'service ' || n, 'GET', 'http://service/' || n, '{}'::jsonb,
           '{"statusFrom": 200, "statusTo": 299}'::jsonb, 1000, false, 'prn_bench', 'ok',
           '{"ok": true, "status": 200, "latencyMs": 100, "failures": [], "at": ""}'::jsonb
    from generate_series(1, ${endpoints}::int) as n`;
  await log`
    insert into tasks (id, type, title, payload, target, target_role, state, severity, risk, origin, requested_by, squad,
                       dispatch_mode, timeout_ms, approval_id, digest, policy_version, workflow_id)
    select 'tsk_' || n, 'bench', 'Task', '{}'::jsonb, 'bench:' || n, 'DreamOps', 'success', 'low', 'low', 'api', 'prn_bench',
           'squad ' || n % ${squads}::int, 'manual', 1000, 'apr_' || n, '', 1, 'task/tsk_' || n
    from generate_series(1, 2000) as n`;
}

/** Results a minute apart; every twentieth endpoint is down in its newest ones, every tenth squad fails half its tasks. */
async function loadEvents(log: Sql, from: number, to: number): Promise<void> {
  for (let start = from; start < to; start += 20_000)
    await log`
      insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata, occurred_at, recorded_at)
      select 'evt_' || n,
             case when is_task and fails then 'squad.task.failed' when is_task then 'squad.task.completed'
               when fails then 'api.endpoint.failed' else 'api.endpoint.success' end,
             case when is_task then 'squad' else 'api' end, case when is_task then 'squad' else 'api' end,
             case when is_task then 'tsk_' || task else 'prb_' || endpoint end, 'info', 'normal',
             jsonb_build_object('probeId', 'prb_' || endpoint, 'latencyMs', 90 + n * 7919 % 21, 'status', 200), '{}'::jsonb, at, at
      from (
        select *, case when is_task then task % ${squads}::int % 10 = 0 and task / ${squads}::int % 2 = 0
                    else endpoint % 20 = 0 and n < 2000 end as fails
        from (
          select n, n % 10 = 0 as is_task, n / 10 % 2000 + 1 as task, (n / 10 * 9 + n % 10) % ${endpoints}::int + 1 as endpoint,
                 now() - make_interval(secs => n * 0.3) as at
          from generate_series(${start}::int, ${Math.min(start + 20_000, to) - 1}::int) as n) as numbered) as stated`;
  await log`
    update probes set state = 'failed', consecutive_failures = 9,
      last_result = '{"ok": false, "status": 503, "latencyMs": 5, "failures": ["status 503"], "at": ""}'::jsonb
    where substr(id, 5)::int % 20 = 0`;
}
