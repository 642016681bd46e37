import type { LoggedEvent } from './events.ts';
import { refuse, type Refusal } from './refusal.ts';

/** Runs of this system have doors of their own, with a proof at each: no event walks past them. */
const ownFamilies = [
  ...['task', 'halo-cycle', 'fabric', 'graft', 'spore-deploy', 'remedy', 'subscription', 'subscription-test'],
  ...['notification', 'replay', 'redrive', 'probe', 'probe-schedule', 'wormhole', 'hook', 'cluster'],
];
const ownRuns = ['halo', 'retention', 'audit-anchor', 'os-heartbeat'];

/** Refuses a workflow id that belongs to this system itself. */
function checkSignalTarget(workflowId: string): Refusal | null {
  const isOwn =
    ownFamilies.some((family) => workflowId === family || workflowId.startsWith(`${family}/`)) ||
    ownRuns.some(
      (run) =>
        workflowId === run || (/^[-/]/.test(workflowId.slice(run.length)) && workflowId.startsWith(run)),
    );
  if (!isOwn) return null;
  return refuse(
    'FORBIDDEN',
    `${workflowId} is a run of this system, which takes no signals of subscriptions; name a workflow of your own.`,
  );
}

const placeholder = /\{([^{}]*)\}/g;
const known = /^(?:correlationId|sourceId|payload(?:\.[A-Za-z0-9_-]{1,100}){1,8})$/;
const safe = /^[A-Za-z0-9_.:@-]{1,100}$/;

/** Refuses a template of a workflow id that has unknown placeholders or characters no id should have. */
export function checkTemplate(template: string): Refusal | null {
  const wrong = [...template.matchAll(placeholder)]
    .map(([, name = '']) => name)
    .find((name) => !known.test(name));
  if (wrong !== undefined)
    return refuse(
      'INVALID',
      `{${wrong}} is no placeholder. Allowed: {correlationId}, {sourceId}, {payload.NAME}.`,
    );
  if (!/^[A-Za-z0-9_.:@/-]*$/.test(template.replace(placeholder, '')))
    return refuse('INVALID', 'A workflow id has letters, digits and _ . : @ / - only.');
  return checkSignalTarget(template);
}

/** The workflow that an event is for; a placeholder is filled with safe characters or not at all. */
export function signalTarget(template: string, event: LoggedEvent): string | Refusal {
  let wrong: Refusal | null = null;
  const workflowId = template.replace(placeholder, (_, name: string) => {
    const value = valueOf(event, name);
    if (typeof value === 'string' && safe.test(value)) return value;
    wrong ??= refuse(
      'INVALID',
      value === null
        ? `The event has no ${name}, which the workflow id ${template} asks for.`
        : `The event's ${name} has characters that no workflow id of a subscription may have; allowed are letters, digits and _ . : @ -.`,
    );
    return '';
  });
  return wrong ?? checkSignalTarget(workflowId) ?? workflowId;
}

function valueOf(event: LoggedEvent, name: string): string | null {
  if (name === 'correlationId') return event.correlationId;
  if (name === 'sourceId') return event.sourceId;
  let value: unknown = event.payload;
  for (const part of name.split('.').slice(1)) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, part))
      return null;
    value = (value as Record<string, unknown>)[part];
  }
  return ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : null;
}
