import { eventTypes } from '../domain/events.ts';
import { emptyHaloLoop, type HaloLoopState } from '../domain/halo-loop.ts';
import type { AgentFacts, ProbeFacts, TaskFacts, WorldFacts } from '../domain/halo-world.ts';
import type { TaskOutcome } from '../domain/halo-shadow.ts';
import { openTaskStates } from '../domain/task.ts';
import type { Sql } from './client.ts';

export type Window = { from: string; to: string };

const lookBackDays = 7;
const most = 10_000;
const taskEnds = [
  eventTypes.taskCompleted,
  eventTypes.taskFailed,
  eventTypes.taskRejected,
  eventTypes.taskExpired,
  eventTypes.taskCancelled,
  eventTypes.taskRetried,
];

function listed(log: Sql, values: readonly string[]) {
  return log`(select jsonb_array_elements_text(${JSON.stringify(values)}::text::jsonb))`;
}

/** What the analyzers would have found at the beginning of a window, put together from the log. */
export async function worldFacts(log: Sql, window: Window): Promise<WorldFacts> {
  const [probes, agents, tasks, open] = await Promise.all([
    probeFacts(log, window),
    agentFacts(log, window),
    taskFacts(log, window),
    openFixes(log, window),
  ]);
  return { probes, agents, tasks, open };
}

async function probeFacts(log: Sql, { from }: Window): Promise<ProbeFacts[]> {
  const start = log`${from}::text::timestamptz`;
  const results = [eventTypes.endpointFailed, eventTypes.endpointSucceeded];
  const rows = await log<
    (Omit<ProbeFacts, 'last'> & { lastType: string | null; seen: Record<string, unknown> | null })[]
  >`
    select p.id as "probeId", p.name, p.method, p.url, p.owner, p.depends_on as "dependsOn",
           coalesce(
             (select (e.payload->>'enabled')::boolean from events e
              where e.source_type = 'api' and e.source_id = p.id and e.type = ${eventTypes.probeChanged} and e.payload ? 'enabled'
                and e.recorded_at < ${start} order by e.recorded_at desc, e.seq desc limit 1),
             -- The first change afterwards is from the other state.
             (select not (e.payload->>'enabled')::boolean from events e
              where e.source_type = 'api' and e.source_id = p.id and e.type = ${eventTypes.probeChanged} and e.payload ? 'enabled'
                and e.recorded_at >= ${start} order by e.recorded_at, e.seq limit 1),
             p.enabled) as enabled,
           l.type as "lastType", l.payload as seen,
           (select count(*)::int from events e
            where e.source_type = 'api' and e.source_id = p.id and e.type = ${eventTypes.endpointFailed}
              and e.recorded_at < ${start} and e.recorded_at >= ${start} - make_interval(days => ${lookBackDays}::int)
              and e.recorded_at > coalesce(
                (select max(s.recorded_at) from events s
                 where s.source_type = 'api' and s.source_id = p.id and s.type = ${eventTypes.endpointSucceeded}
                   and s.recorded_at < ${start}
                   and s.recorded_at >= ${start} - make_interval(days => ${lookBackDays}::int)),
                '-infinity')) as "consecutiveFailures",
           to_jsonb(array(
             select e.id from events e
             where e.source_type = 'api' and e.source_id = p.id and e.type = ${eventTypes.endpointFailed}
               and e.recorded_at < ${start} and e.recorded_at >= ${start} - make_interval(days => ${lookBackDays}::int)
             order by e.recorded_at desc, e.seq desc limit 5)) as evidence
    from probes p
    left join lateral (
      select e.type, e.payload, e.recorded_at from events e
      where e.source_type = 'api' and e.source_id = p.id and e.type in ${listed(log, results)}
        and e.recorded_at < ${start} and e.recorded_at >= ${start} - make_interval(days => ${lookBackDays}::int)
      order by e.recorded_at desc, e.seq desc limit 1
    ) l on not exists (
      -- A result from before a repair says nothing about the repaired endpoint.
      select from events e join tasks t on t.id = e.source_id and t.target = 'probe:' || p.id
      where e.type = ${eventTypes.taskCompleted} and e.recorded_at >= l.recorded_at and e.recorded_at < ${start})
    order by p.id limit ${most}`;
  return rows.map(({ lastType, seen, ...probe }) => ({
    ...probe,
    last:
      lastType === null || seen === null
        ? null
        : {
            ok: lastType === eventTypes.endpointSucceeded,
            status: typeof seen.status === 'number' ? seen.status : null,
            latencyMs: typeof seen.latencyMs === 'number' ? seen.latencyMs : 0,
            failures: Array.isArray(seen.failures) ? seen.failures.map(String) : [],
          },
  }));
}

async function agentFacts(log: Sql, { from }: Window): Promise<AgentFacts[]> {
  return log<AgentFacts[]>`
    select a.id as "agentId", a.name, a.owner, a.executor = 'temporal' as beats,
           coalesce((select e.payload->>'state' from events e
                     where e.source_type = 'agent' and e.source_id = a.id and e.type = ${eventTypes.agentStatus}
                       and e.payload ? 'state' and e.recorded_at < ${from}::text::timestamptz
                     order by e.recorded_at desc, e.seq desc limit 1), 'registered') as state
    from agents a order by a.id limit ${most}`;
}

async function taskFacts(log: Sql, { from, to }: Window): Promise<Map<string, TaskFacts>> {
  const rows = await log<(TaskFacts & { id: string })[]>`
    select id, target, fingerprint from tasks where id in (
      select source_id from events
      where source_type = 'squad' and type in ${listed(log, taskEnds)}
        and recorded_at between ${from}::text::timestamptz and ${to}::text::timestamptz)`;
  return new Map(rows.map(({ id, ...task }) => [id, task]));
}

/** Fix targets whose task was open when the window began, by when it was made and ended. */
async function openFixes(log: Sql, { from }: Window): Promise<string[]> {
  const rows = await log<{ fingerprint: string }[]>`
    select distinct fingerprint from tasks
    where fingerprint is not null and created_at < ${from}::text::timestamptz
      and (ended_at >= ${from}::text::timestamptz or (ended_at is null and state in ${listed(log, openTaskStates)}))
    order by fingerprint`;
  return rows.map(({ fingerprint }) => fingerprint);
}

/** Where HALO's loop stood when a window began: paused or not, its cycles of the hour before, and its last end. */
export async function loopAt(log: Sql, { from }: Window): Promise<HaloLoopState> {
  const start = log`${from}::text::timestamptz`;
  const switches = [eventTypes.haloPaused, eventTypes.haloResumed];
  const ends = [eventTypes.haloCycleCompleted, eventTypes.haloCycleFailed];
  const [row] = await log<{ paused: boolean; starts: number[]; endedMs: number | null }[]>`
    select coalesce((select type = ${eventTypes.haloPaused} from events
                     where source_type = 'halo' and type in ${listed(log, switches)} and recorded_at < ${start}
                     order by recorded_at desc, seq desc limit 1), false) as paused,
           to_jsonb(array(select (extract(epoch from recorded_at) * 1000)::float8 from events
                          where source_type = 'halo' and type = ${eventTypes.haloCycleStarted}
                            and recorded_at < ${start} and recorded_at >= ${start} - interval '1 hour'
                          order by recorded_at limit 1000)) as starts,
           (select (extract(epoch from max(recorded_at)) * 1000)::float8 from events
            where source_type = 'halo' and type in ${listed(log, ends)}
              and recorded_at < ${start} and recorded_at >= ${start} - interval '1 day') as "endedMs"`;
  return {
    ...emptyHaloLoop(),
    paused: row?.paused === true,
    startsMs: row?.starts ?? [],
    lastEndedMs: row?.endedMs ?? null,
  };
}

export type RecordedCycle = {
  id: string;
  mode: string;
  state: string;
  startedAt: string;
  /** How often each asked for it. */
  events: number;
  manual: number;
  weakPoints: number;
  proposed: string[];
};

/** The cycles that really ran in a window, oldest first. */
export async function recordedCycles(
  log: Sql,
  { from, to }: Window,
  limit: number,
): Promise<RecordedCycle[]> {
  return log<RecordedCycle[]>`
    select c.id, c.mode, c.state, jsonb_array_length(c.weak_points) as "weakPoints",
           coalesce((c.trigger->>'event')::int, 0) as events, coalesce((c.trigger->>'manual')::int, 0) as manual,
           to_char(c.started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "startedAt",
           to_jsonb(array(select t.fingerprint from tasks t
                          where t.origin = 'halo' and t.origin_id = c.id and t.fingerprint is not null
                          order by t.fingerprint)) as proposed
    from halo_cycles c
    where c.started_at between ${from}::text::timestamptz and ${to}::text::timestamptz
    order by c.started_at, c.id limit ${limit}`;
}

/** The tasks that HALO really proposed in a window, oldest first. */
export async function recordedProposals(
  log: Sql,
  { from, to }: Window,
  limit: number,
): Promise<TaskOutcome[]> {
  const rows = await log<Pick<TaskOutcome, 'key' | 'title' | 'target' | 'risk' | 'eventIds'>[]>`
    select fingerprint as key, title, target, risk, evidence as "eventIds" from tasks
    where origin = 'halo' and fingerprint is not null
      and created_at between ${from}::text::timestamptz and ${to}::text::timestamptz
    order by created_at, id limit ${limit}`;
  return rows.map((row) => ({ ...row, kind: 'task' as const }));
}
