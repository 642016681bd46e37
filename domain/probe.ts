import type { Severity } from './events.ts';

export type ProbeAssertions = {
  /** Accepted statuses, both ends included. */
  statusFrom: number;
  statusTo: number;
  maxLatencyMs?: number;
  bodyIncludes?: string;
};

export const probeStates = ['unknown', 'ok', 'failed'] as const;
export type ProbeState = (typeof probeStates)[number];

/** What one request showed; `status` is null when no answer came, and `error` says why. */
export type ProbeObservation = {
  status: number | null;
  latencyMs: number;
  body: string;
  error: string | null;
};

export type ProbeJudgement = { ok: boolean; failures: string[]; severity: Severity };

/** A probe passes when it was answered and every assertion holds; no answer or a 5xx is critical, the rest an error. */
export function judgeProbe(assertions: ProbeAssertions, seen: ProbeObservation): ProbeJudgement {
  if (seen.status === null)
    return { ok: false, failures: [`no answer: ${seen.error ?? 'unknown'}`], severity: 'critical' };
  const failures: string[] = [];
  if (seen.status < assertions.statusFrom || seen.status > assertions.statusTo)
    failures.push(`status ${seen.status}, expected ${assertions.statusFrom} to ${assertions.statusTo}`);
  if (assertions.maxLatencyMs !== undefined && seen.latencyMs > assertions.maxLatencyMs)
    failures.push(`took ${Math.round(seen.latencyMs)} ms, expected at most ${assertions.maxLatencyMs} ms`);
  if (assertions.bodyIncludes !== undefined && !seen.body.includes(assertions.bodyIncludes))
    failures.push(`the body does not include ${JSON.stringify(assertions.bodyIncludes)}`);
  if (failures.length === 0) return { ok: true, failures, severity: 'info' };
  return { ok: false, failures, severity: seen.status >= 500 ? 'critical' : 'error' };
}
