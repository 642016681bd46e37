import { performance } from 'node:perf_hooks';
import type { Database } from '../db/client.ts';
import { holdOn } from '../db/kill-switch.ts';
import { getProbe, type ProbeRow, recordProbeResult } from '../db/probes.ts';
import { judgeProbe, type ProbeObservation } from '../domain/probe.ts';
import { refuse, type Refusal } from '../domain/refusal.ts';
import { explainFetchError, guardedFetch } from './guarded-fetch.ts';

export type ProbeActivities = ReturnType<typeof createProbeActivities>;

const readBytes = 64 * 1024;

async function observe(probe: ProbeRow): Promise<ProbeObservation> {
  const startedAt = performance.now();
  const elapsed = (): number => performance.now() - startedAt;
  try {
    const response = await guardedFetch({
      url: probe.url,
      method: probe.method,
      headers: { 'user-agent': 'dreamnet-api-forge', ...probe.headers },
      body: probe.body,
      timeoutMs: probe.timeoutMs,
      maxBytes: readBytes,
      allowPrivateNetwork: probe.allowPrivateNetwork,
    });
    return { status: response.status, latencyMs: elapsed(), body: response.body, error: null };
  } catch (error) {
    return { status: null, latencyMs: elapsed(), body: '', error: explainFetchError(error) };
  }
}

/** API Forge: sends a probe's request, judges the answer, and emits what it saw. */
export function createProbeActivities({ database }: { database: Database }) {
  return {
    async runProbe(input: {
      probeId: string;
      opKey: string;
    }): Promise<{ ok: boolean; eventId: string; failures: string[] } | Refusal> {
      const probe = await getProbe(database.db, input.probeId);
      if (probe === null) return refuse('NOT_FOUND', `No probe ${input.probeId}.`);
      if (!probe.enabled) return refuse('CONFLICT', `Probe ${probe.name} is switched off.`);
      // A GET looks; a POST may change what it reaches, so a kill switch holds it like a dispatch.
      const work = { kind: 'probe', target: `probe:${probe.id}` };
      const hold = probe.method === 'POST' ? await holdOn(database.db, work, 'dispatch') : null;
      if (hold !== null) return hold;
      const observation = await observe(probe);
      const judgement = judgeProbe(probe.assertions, observation);
      return recordProbeResult(database.db, { probe, opKey: input.opKey, observation, judgement });
    },
  };
}
