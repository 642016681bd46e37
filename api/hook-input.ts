import { randomBytes } from 'node:crypto';
import { z } from '@hono/zod-openapi';
import type { HookRow } from '../db/hooks.ts';
import { isOpenType } from '../domain/event-source.ts';
import { eventType, severities } from '../domain/events.ts';
import { hookForms, type HookScheme, hookSchemes } from '../domain/hook.ts';
import { refuse } from '../domain/refusal.ts';
import { throwRefusal } from './problems.ts';
import { rotation } from './rotation.ts';
import { instant } from './schemas.ts';

const path = z
  .string()
  .max(200)
  .regex(/^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/, 'must name a member of the body, such as alert.severity');

const mapping = z.strictObject({
  type: path.optional(),
  severity: path.optional(),
  correlationId: path.optional(),
});

const secret = z.string().min(1).max(200);

export const hookInput = z.strictObject({
  name: z
    .string()
    .max(60)
    .regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, 'must be lower-case words with - between, such as ci-builds'),
  scheme: z.enum(hookSchemes).default('standard-webhooks'),
  form: z.enum(hookForms).default('payload'),
  eventType,
  severity: z.enum(severities).default('info'),
  mapping: mapping.default({}),
  perMinute: z.number().int().min(1).max(100_000).default(600),
  secret: secret.optional(),
});

export const hookRotation = rotation.extend({ secret: secret.optional() });

export const hookSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    scheme: z.enum(hookSchemes),
    form: z.enum(hookForms),
    eventType: z.string(),
    severity: z.enum(severities),
    mapping,
    perMinute: z.number(),
    path: z.string(),
    enabled: z.boolean(),
    previousSecretUntil: instant.nullable(),
    owner: z.string(),
    received: z.number(),
    refused: z.number(),
    lastReceivedAt: instant.nullable(),
    lastRefusedAt: instant.nullable(),
    createdAt: instant,
    updatedAt: instant,
  })
  .openapi('Hook');

/** A hook without its secrets, sealed or not. */
export function hookView(row: HookRow): z.infer<typeof hookSchema> {
  const { id, name, scheme, form, eventType, severity, mapping: mapped, perMinute, enabled, owner } = row;
  return {
    ...{ id, name, scheme, form, eventType, severity, mapping: mapped, perMinute, enabled, owner },
    path: `/v1/hooks/${id}/events`,
    received: row.received,
    refused: row.refused,
    previousSecretUntil: row.previousSecretUntil?.toISOString() ?? null,
    lastReceivedAt: row.lastReceivedAt?.toISOString() ?? null,
    lastRefusedAt: row.lastRefusedAt?.toISOString() ?? null,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

const standardSecret = /^whsec_[A-Za-z0-9+/]{32,170}={0,2}$/;
const plainSecret = /^[\x21-\x7e]{16,200}$/;

/** A new secret in the form of the scheme. */
export function mintHookSecret(scheme: HookScheme): string {
  return scheme === 'github'
    ? randomBytes(32).toString('hex')
    : `whsec_${randomBytes(32).toString('base64')}`;
}

/** A secret that the sender made; one that could be guessed, or that the scheme cannot use, is refused. */
export function checkHookSecret(scheme: HookScheme, given: string): string {
  const isGood = (scheme === 'github' ? plainSecret : standardSecret).test(given);
  if (isGood) return given;
  const allowed =
    scheme === 'github'
      ? '16 to 200 printable characters without spaces'
      : '`whsec_` and at least 24 bytes in base64';
  return throwRefusal(refuse('INVALID', `secret: must be ${allowed} (scheme ${scheme}).`));
}

/** Refuses a type that only this system itself may say. */
export function requireOpenType(type: string): void {
  if (!isOpenType(type))
    throwRefusal(
      refuse('FORBIDDEN', `Events of the type ${type} come from the system itself; use a type of your own.`),
    );
}
