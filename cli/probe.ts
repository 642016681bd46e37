import { instant } from './format.ts';
import { facts, type Output } from './output.ts';
import type { Probe } from './views.ts';

/** How often a probe runs by itself. */
export function everyOf({ intervalSeconds }: Probe): string {
  return intervalSeconds === null ? 'on demand' : `${intervalSeconds}s`;
}

/** A probe in a few lines. */
export function describeProbe(out: Output, probe: Probe): string[] {
  return facts(out, [
    ['probe', probe.id],
    ['name', probe.name],
    ['request', `${probe.method} ${probe.url}`],
    ['every', everyOf(probe)],
    ['depends on', probe.dependsOn.length === 0 ? null : probe.dependsOn.join(', ')],
    ['state', probe.enabled ? probe.state : 'disabled'],
  ]);
}

/** How its newest run ended. */
export function describeLast(out: Output, { lastResult: last, consecutiveFailures }: Probe): string[] {
  if (last === null) return facts(out, [['last result', 'none yet']]);
  const how = last.ok ? 'ok' : `failed: ${last.failures.join('; ')}`;
  return facts(out, [
    ['last result', `${how} (status ${last.status ?? 'none'}, ${last.latencyMs} ms, ${instant(last.at)})`],
    ['failed in a row', consecutiveFailures === 0 ? null : String(consecutiveFailures)],
  ]);
}
