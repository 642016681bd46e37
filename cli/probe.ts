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
    ['state', probe.enabled ? probe.state : 'disabled'],
  ]);
}
