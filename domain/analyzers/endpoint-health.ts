import {
  type Change,
  defaultDetection,
  detectChanges,
  expecting,
  isExpected,
  type Point,
} from '../change-detection.ts';
import type { JsonObject } from '../json.ts';
import type { Issue } from './issue.ts';

/** An answer slower than this is a high issue (LEDGER 1.2). */
export const slowEndpointMs = 2500;

export type EndpointSnapshot = {
  probeId: string;
  name: string;
  method: string;
  url: string;
  owner: string;
  /** Newest result; null when the probe never ran. */
  last: { ok: boolean; status: number | null; latencyMs: number; failures: string[] } | null;
  consecutiveFailures: number;
  /** Events of its newest failures, newest first. */
  evidence: string[];
  /** Events of its newest good answers, newest first: what shows that it is slow. */
  answers?: string[];
  /** Its newest results, oldest first. */
  series?: Point[];
  /** Probes of endpoints that it cannot do without. */
  dependsOn?: string[];
};

/** So many failures in a row are an outage, whatever is usual for the endpoint. */
const outageFrom = 3;
/** So many good results in a row end what the chart of failures still holds against an endpoint. */
const recoveredAfter = 5;
/** Who fails more often than this has no good history that a single failure could be measured by. */
const mostUsualFailures = 0.3;
/** A change of latency below this is real, but nothing to repair. */
const leastSlowerMs = 50;

/**
 * While an endpoint has little good history: no answer or a status of 500 and above is critical, any other failed
 * assertion high, and so is an answer slower than 2.5 s (LEDGER 1.2). Once it has enough, a standing change of its
 * failures or of its latency says so, or a third failure in a row; a failure short of that is low. A probe that never
 * ran says nothing (K18: no evidence is not health).
 */
export function analyzeEndpoints(endpoints: EndpointSnapshot[], slowMs = slowEndpointMs): Issue[] {
  const alone = new Map(
    endpoints.map(({ probeId, series = [] }) => [probeId, isKnown(series) ? detectChanges(series) : null]),
  );
  return endpoints.flatMap((endpoint) => {
    const { last } = endpoint;
    if (last === null) return [];
    const changes = changesIn(endpoint, alone);
    const found = last.ok
      ? (flapping(endpoint, changes) ?? slow(endpoint, last.latencyMs, changes, slowMs))
      : failing(endpoint, last, changes);
    return found === null ? [] : [issueOf(endpoint, found)];
  });
}

/** The changes of an endpoint by itself; without any, those that are expected as an endpoint that it needs is in trouble. */
function changesIn(
  { probeId, series = [], dependsOn = [] }: EndpointSnapshot,
  alone: ReadonlyMap<string, Change[] | null>,
): Change[] | null {
  const own = alone.get(probeId) ?? null;
  const needed = dependsOn.flatMap((one) => alone.get(one) ?? []);
  if (own === null || own.length > 0 || needed.length === 0) return own;
  return detectChanges(series, expecting()).filter(({ sinceMs }) =>
    needed.some((other) => isExpected(sinceMs, other.sinceMs)),
  );
}

/** What could not be looked at closely is said: judged by the last result is less than judged by what is normal. */
export function analyzeEndpointLook(look: { endpoints: EndpointSnapshot[]; withoutSeries: number }): Issue[] {
  const issues = analyzeEndpoints(look.endpoints);
  if (look.withoutSeries === 0) return issues;
  const cut: Issue = {
    key: 'endpoint-health:cut',
    analyzer: 'endpoint-health',
    entityKind: 'analyzer',
    entityId: 'endpoint-health',
    entityName: 'endpoint-health',
    severity: 'low',
    title: `${look.withoutSeries} endpoints were judged by their last result only, as there are too many`,
    subject: { analyzer: 'endpoint-health' },
    owner: '',
    evidence: [],
    observed: { endpoints: look.endpoints.length, withoutSeries: look.withoutSeries },
  };
  return [...issues, cut];
}

type Found = {
  what: 'failing' | 'slow';
  severity: Issue['severity'];
  title: string;
  change: Change | undefined;
};
type Last = NonNullable<EndpointSnapshot['last']>;

function failing(endpoint: EndpointSnapshot, last: Last, changes: Change[] | null): Found {
  const { consecutiveFailures: inARow } = endpoint;
  const change = changes?.find(({ kind }) => kind === 'failing');
  const isNew = changes !== null && change === undefined && inARow < outageFrom;
  const down = last.status === null || last.status >= 500;
  const times = inARow > 1 ? `, ${inARow} times in a row` : '';
  const after = isNew ? ', after a good history' : '';
  return {
    what: 'failing',
    severity: isNew ? 'low' : down ? 'critical' : 'high',
    title: `${last.failures[0] ?? 'the assertion failed'}${times}${after}`,
    change,
  };
}

/** It answers right now, but has failed too often of late. */
function flapping({ series = [] }: EndpointSnapshot, changes: Change[] | null): Found | null {
  const change = changes?.find(({ kind }) => kind === 'failing');
  if (change === undefined) return null;
  const good = goodInARow(series);
  return {
    what: 'failing',
    severity: good >= recoveredAfter ? 'low' : 'high',
    title:
      good >= recoveredAfter
        ? `failed of late, and has answered ${good} times in a row since`
        : 'answers, and failed again and again of late',
    change,
  };
}

function slow(
  { series = [] }: EndpointSnapshot,
  latencyMs: number,
  changes: Change[] | null,
  slowMs: number,
): Found | null {
  const change = changes?.find(({ kind }) => kind === 'slow');
  if (change !== undefined) {
    // A chart that one point alone has lifted may be an accident of that moment.
    const lasts = change.sinceMs < (series.at(-1)?.atMs ?? 0);
    const isMuch = lasts && change.now - change.normal >= leastSlowerMs;
    const title = `answers in ${Math.round(change.now)} ms, ${Math.round(change.normal)} ms is usual`;
    if (isMuch || latencyMs > slowMs)
      return { what: 'slow', severity: isMuch ? 'high' : 'low', title, change };
  }
  if (latencyMs <= slowMs) return null;
  const isOnce = changes !== null && usualLatency(series) <= slowMs;
  return {
    what: 'slow',
    severity: isOnce ? 'low' : 'high',
    title: `answered in ${Math.round(latencyMs)} ms, slower than ${slowMs} ms${isOnce ? ', after a good history' : ''}`,
    change: undefined,
  };
}

function issueOf(endpoint: EndpointSnapshot, { what, severity, title, change }: Found): Issue {
  const { probeId, name, method, url, owner, evidence, answers = evidence, series = [], last } = endpoint;
  const sinceMs = change?.sinceMs ?? beginOf(series, what);
  return {
    key: what === 'slow' ? `${probeId}:slow` : probeId,
    analyzer: 'endpoint-health',
    entityKind: 'probe',
    entityId: probeId,
    entityName: name,
    severity,
    title,
    subject: { probeId, name, method, url },
    owner,
    evidence: what === 'slow' ? answers : evidence,
    observed: {
      ...(change === undefined ? {} : figuresOf(change)),
      ...(sinceMs === undefined ? {} : { since: new Date(sinceMs).toISOString() }),
      ...{ results: sum(series, 'results'), failures: sum(series, 'failures') },
      ...{ failuresInARow: endpoint.consecutiveFailures, lastLatencyMs: last?.latencyMs ?? null },
    },
    ...(sinceMs === undefined ? {} : { sinceMs }),
    dependsOn: (endpoint.dependsOn ?? []).map((id) => `endpoint:${id}`),
  };
}

/** A change in figures for people: shares as they are, milliseconds without decimals. */
export function figuresOf({ kind, normal, now, score, limit }: Change): JsonObject {
  const figure = (value: number): number => Number(value.toFixed(kind === 'failing' ? 3 : 0));
  return { normal: figure(normal), now: figure(now), score: Number(score.toFixed(1)), limit };
}

function isKnown(series: readonly Point[]): boolean {
  const [results, failures] = [sum(series, 'results'), sum(series, 'failures')];
  return results - failures >= defaultDetection.minResults && failures <= mostUsualFailures * results;
}

function sum(series: readonly Point[], figure: 'results' | 'failures'): number {
  return series.reduce((total, point) => total + point[figure], 0);
}

function goodInARow(series: readonly Point[]): number {
  const lastBad = series.findLastIndex(({ failures }) => failures > 0);
  return sum(series.slice(lastBad + 1), 'results');
}

function usualLatency(series: readonly Point[]): number {
  const sorted = series.flatMap(({ latencyMs }) => latencyMs ?? []).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** When the failures began that it ends with. */
function beginOf(series: readonly Point[], what: Found['what']): number | undefined {
  if (what === 'slow') return series.at(-1)?.atMs;
  return series[series.findLastIndex(({ failures }) => failures === 0) + 1]?.atMs;
}
