import { proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { ProbeActivities } from '../activities/probes.ts';
import { isRefusal } from '../domain/refusal.ts';
import { fail } from './approval-gate.ts';
import type { ProbeRunInput } from './inputs.ts';

const { runProbe } = proxyActivities<ProbeActivities>({
  startToCloseTimeout: '75s',
  retry: { initialInterval: '1s', maximumInterval: '10s', maximumAttempts: 5 },
});

/** One run of a probe, on demand or by its schedule. A failing endpoint is a result, not a failure of this run. */
export async function probeRun(
  input: ProbeRunInput,
): Promise<{ ok: boolean; eventId: string; failures: string[] }> {
  const result = await runProbe({ probeId: input.probeId, opKey: `probe.run:${workflowInfo().runId}` });
  if (isRefusal(result)) throw fail(result);
  return result;
}
