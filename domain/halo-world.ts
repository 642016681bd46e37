import { analyzeAgents } from './analyzers/agent-health.ts';
import { analyzeEndpoints, type EndpointSnapshot } from './analyzers/endpoint-health.ts';
import { type Issue, worstFirst } from './analyzers/issue.ts';
import type { Point } from './change-detection.ts';
import { eventTypes, type LoggedEvent } from './events.ts';
import type { Json } from './json.ts';

export type ProbeFacts = EndpointSnapshot & { enabled: boolean };
export type AgentFacts = { agentId: string; name: string; owner: string; state: string; beats: boolean };
export type TaskFacts = { target: string; fingerprint: string | null };

/** What HALO would have seen at the beginning of a window. */
export type WorldFacts = {
  probes: ProbeFacts[];
  agents: AgentFacts[];
  /** Tasks that ended or were retried in the window, by id. */
  tasks: ReadonlyMap<string, TaskFacts>;
  /** Fix targets with an open task. */
  open: string[];
};

/** What of recorded events changes HALO's view; everything else only triggers it. */
export const worldEvents: readonly string[] = [
  eventTypes.endpointFailed,
  eventTypes.endpointSucceeded,
  eventTypes.probeChanged,
  eventTypes.agentStatus,
  eventTypes.taskCompleted,
  eventTypes.taskFailed,
  eventTypes.taskRejected,
  eventTypes.taskExpired,
  eventTypes.taskCancelled,
  eventTypes.taskRetried,
];

export type World = {
  see(event: LoggedEvent): void;
  issues(slowMs: number): Issue[];
  /** Fix targets whose recorded task is open now, which a proposal would join. */
  isOpen(fingerprint: string): boolean;
  /** How often a task of this fix target has ended so far: what was proposed before then can be proposed again. */
  endings(fingerprint: string): number;
};

const evidencePerProbe = 5;
const bucketMs = 60_000;

/** Buckets that a window keeps of each endpoint: fewer than the analyzer really looks at, as cycles run thick here. */
const pointsPerProbe = (probes: number): number => Math.max(30, Math.min(120, Math.floor(20_000 / probes)));

function addPoint(series: readonly Point[], seen: Omit<Point, 'results'>, most: number): Point[] {
  const { atMs, failures, latencyMs } = seen;
  const newest = series.at(-1);
  if (newest === undefined || Math.floor(newest.atMs / bucketMs) !== Math.floor(atMs / bucketMs))
    return [...series, { ...seen, results: 1 }].slice(-most);
  const good = newest.results - newest.failures;
  const mean =
    latencyMs === null ? newest.latencyMs : ((newest.latencyMs ?? 0) * good + latencyMs) / (good + 1);
  const merged = {
    atMs: newest.atMs,
    results: newest.results + 1,
    failures: newest.failures + failures,
    latencyMs: mean,
  };
  return [...series.slice(0, -1), merged];
}

/** The probes, agents and open tasks as the analyzers would find them, carried forward event by event. */
export function createWorld(facts: WorldFacts): World {
  const probes = new Map(facts.probes.map((probe) => [probe.probeId, { ...probe }]));
  const mostPoints = pointsPerProbe(facts.probes.length);
  const agents = new Map(facts.agents.map((agent) => [agent.agentId, { ...agent }]));
  const open = new Set(facts.open);
  const endings = new Map<string, number>();

  function seeResult(event: LoggedEvent, ok: boolean): void {
    const { probeId, status, latencyMs, failures } = event.payload;
    const probe = typeof probeId === 'string' && probeId === event.sourceId ? probes.get(probeId) : undefined;
    if (probe === undefined) return;
    probe.last = {
      ok,
      status: typeof status === 'number' ? status : null,
      latencyMs: typeof latencyMs === 'number' ? latencyMs : 0,
      failures: textsOf(failures),
    };
    probe.consecutiveFailures = ok ? 0 : probe.consecutiveFailures + 1;
    if (!ok) probe.evidence = [event.id, ...probe.evidence].slice(0, evidencePerProbe);
    else probe.answers = [event.id, ...(probe.answers ?? [])].slice(0, evidencePerProbe);
    const latency = ok ? probe.last.latencyMs : null;
    const seen = { atMs: Date.parse(event.recordedAt), failures: ok ? 0 : 1, latencyMs: latency };
    probe.series = addPoint(probe.series ?? [], seen, mostPoints);
  }

  function seeTask(event: LoggedEvent): void {
    const task = facts.tasks.get(event.sourceId);
    if (task === undefined) return;
    const { fingerprint, target } = task;
    if (fingerprint !== null && event.type === eventTypes.taskRetried) open.add(fingerprint);
    else if (fingerprint !== null) {
      open.delete(fingerprint);
      endings.set(fingerprint, (endings.get(fingerprint) ?? 0) + 1);
    }
    // A result from before a repair says nothing about the repaired endpoint.
    const repaired = event.type === eventTypes.taskCompleted && target.startsWith('probe:');
    const probe = repaired ? probes.get(target.slice('probe:'.length)) : undefined;
    if (probe !== undefined) Object.assign(probe, { last: null, series: [] });
  }

  return {
    see(event) {
      const { payload, sourceId, type } = event;
      if (type === eventTypes.endpointFailed) seeResult(event, false);
      else if (type === eventTypes.endpointSucceeded) seeResult(event, true);
      else if (type === eventTypes.probeChanged) {
        const probe = probes.get(sourceId);
        if (probe !== undefined && typeof payload.enabled === 'boolean') probe.enabled = payload.enabled;
      } else if (type === eventTypes.agentStatus) {
        const agent = agents.get(sourceId);
        if (agent !== undefined && typeof payload.state === 'string') agent.state = payload.state;
      } else if (event.sourceType === 'squad' && worldEvents.includes(type)) seeTask(event);
    },
    issues: (slowMs) => [
      ...worstFirst(
        analyzeEndpoints(
          [...probes.values()].filter(({ enabled }) => enabled),
          slowMs,
        ),
      ),
      // How long an agent was silent is not in the log; that it was marked offline is.
      ...worstFirst(analyzeAgents([...agents.values()].map((agent) => ({ ...agent, silentForMs: 0 })))),
    ],
    isOpen: (fingerprint) => open.has(fingerprint),
    endings: (fingerprint) => endings.get(fingerprint) ?? 0,
  };
}

function textsOf(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}
