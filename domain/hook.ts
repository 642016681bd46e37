import type { EventInput, Severity } from './events.ts';
import { severities } from './events.ts';
import type { Json, JsonObject } from './json.ts';

/** How whoever posts to a hook proves that it may. */
export const hookSchemes = ['standard-webhooks', 'github'] as const;
export type HookScheme = (typeof hookSchemes)[number];

/** What a hook is sent: any object, which becomes the payload of an event; or an event as another DreamNet sends it. */
export const hookForms = ['payload', 'event'] as const;
export type HookForm = (typeof hookForms)[number];

/** Where the body says more of the event: names of members, one inside the other, with dots between. */
export type HookMapping = { type?: string; severity?: string; correlationId?: string };

/** A message that is older or newer than this is refused (TRUST 4.42). */
export const hookToleranceMs = 5 * 60_000;

/** A sealed secret opens for the hook it was sealed for and for no other. */
export function hookSealContext(hookId: string): string {
  return `hook:${hookId}`;
}

export type HookRules = {
  id: string;
  name: string;
  eventType: string;
  severity: Severity;
  mapping: HookMapping;
};

export type HookMessage = {
  messageId: string;
  /** What the sender calls this kind of message beside the body; GitHub does. */
  kind: string | null;
  body: JsonObject;
};

const maxType = 120;

/** The event that a message to a hook becomes: the hook says type and severity, the body may say more where it is mapped. */
export function eventOfMessage(hook: HookRules, message: HookMessage): EventInput {
  const { mapping } = hook;
  const { messageId, body } = message;
  const mapped = severityIn(memberAt(body, mapping.severity));
  const correlationId = textIn(memberAt(body, mapping.correlationId));
  const kinds = [message.kind, textIn(memberAt(body, mapping.type))];
  return {
    type: typeOf(hook.eventType, kinds),
    source: { type: 'api', id: `hook:${hook.name}` },
    severity: mapped ?? hook.severity,
    payload: body,
    metadata: { hook: { id: hook.id, messageId } },
    ...(correlationId === null ? {} : { correlationId: correlationId.slice(0, 200) }),
  };
}

/** The hook's type with what the sender calls it behind; a word that is no part of a type becomes one, or is left out. */
function typeOf(base: string, kinds: (string | null)[]): string {
  const words = kinds.flatMap((kind) => {
    const word = (kind ?? '')
      .toLowerCase()
      .split('.')
      .map((part) => part.replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-|-$/g, ''))
      .filter((part) => part !== '')
      .join('.');
    return word === '' ? [] : [word];
  });
  const whole = [base, ...words].join('.');
  return whole.length <= maxType ? whole : base;
}

/** What stands in a body at a path; only members of its own, as the path comes from a setting and the body from outside. */
function memberAt(body: JsonObject, path: string | undefined): Json | undefined {
  if (path === undefined) return undefined;
  let value: Json | undefined = body;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    value = Object.hasOwn(value, name) ? value[name] : undefined;
  }
  return value;
}

function textIn(value: Json | undefined): string | null {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : null;
}

function severityIn(value: Json | undefined): Severity | null {
  return severities.find((severity) => severity === value) ?? null;
}
