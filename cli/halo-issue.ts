import { visible } from './escape.ts';
import type { HaloIssue } from './halo-views.ts';

/** A finding with the figures and the events that show it, each on a line of its own. */
export function describeIssue({ severity, title, observed, evidence, ...issue }: HaloIssue): string[] {
  const figures = Object.entries(observed).map(([name, value]) => `${name} ${figure(value)}`);
  return [
    `issue       ${severity.padEnd(8)}  ${issue.entityKind} ${issue.entityId}: ${title}`,
    ...(figures.length === 0 ? [] : [`            ${figures.join(', ')}`]),
    ...(evidence.length === 0 ? [] : [`            shown by ${evidence.join(', ')}`]),
  ].map(visible);
}

function figure(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  return value === null ? 'none' : JSON.stringify(value);
}
