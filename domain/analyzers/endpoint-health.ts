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
  evidence: string[];
};

/**
 * No answer or a status of 500 and above is critical, any other failed assertion high, and so is an answer slower
 * than 2.5 s; a probe that never ran says nothing (LEDGER 1.2, K18: no evidence is not health).
 */
export function analyzeEndpoints(endpoints: EndpointSnapshot[], slowMs = slowEndpointMs): Issue[] {
  return endpoints.flatMap((endpoint) => {
    const { last } = endpoint;
    if (last === null) return [];
    const issue = {
      analyzer: 'endpoint-health' as const,
      entityKind: 'probe',
      entityId: endpoint.probeId,
      entityName: endpoint.name,
      subject: { probeId: endpoint.probeId, name: endpoint.name, method: endpoint.method, url: endpoint.url },
      owner: endpoint.owner,
      evidence: endpoint.evidence,
    };
    if (!last.ok) {
      const down = last.status === null || last.status >= 500;
      const times =
        endpoint.consecutiveFailures > 1 ? `, ${endpoint.consecutiveFailures} times in a row` : '';
      const what = last.failures[0] ?? 'the assertion failed';
      return [
        { ...issue, key: endpoint.probeId, severity: down ? 'critical' : 'high', title: `${what}${times}` },
      ];
    }
    if (last.latencyMs > slowMs)
      return [
        {
          ...issue,
          key: `${endpoint.probeId}:slow`,
          severity: 'high',
          title: `answered in ${Math.round(last.latencyMs)} ms, slower than ${slowMs} ms`,
        },
      ];
    return [];
  });
}
