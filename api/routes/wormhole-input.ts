import { z } from '@hono/zod-openapi';
import type { Permission } from '../../domain/access.ts';
import { issueSeverities } from '../../domain/analyzers/issue.ts';
import { maxFilterLength } from '../../domain/event-filter.ts';
import { eventType, maxHops, priorities, severities, sourceTypes, typePattern } from '../../domain/events.ts';
import { isDeeperThan } from '../../domain/json.ts';
import { risks, taskRoles } from '../../domain/task.ts';
import type { WormholeAction, WormholeActionKind } from '../../domain/wormhole.ts';
import { jsonObject, line } from '../schemas.ts';
import { httpsNeeded, httpUrl, isHttpsUnlessPrivate } from '../web-address.ts';

const matchInput = z.strictObject({
  types: z.array(typePattern).max(50).default([]),
  minSeverity: z.enum(severities).default('info'),
  excludeSourceTypes: z.array(z.enum(sourceTypes)).max(sourceTypes.length).default([]),
  sources: z.array(line(220)).min(1).max(50).optional(),
  destination: line(200).optional(),
  filter: z.string().max(maxFilterLength).optional(),
});

const template = line(2000);
const mapping = jsonObject
  .refine((value) => !isDeeperThan(value, 20), 'lies deeper than 20 levels')
  .refine((value) => JSON.stringify(value).length <= 16_384, 'has more than 16,384 characters');

const emitInput = z.strictObject({
  type: eventType,
  severity: z.enum(severities).optional(),
  priority: z.enum(priorities).optional(),
  destination: template.optional(),
  payload: mapping.optional(),
});

const forwardInput = z.union([
  z
    .strictObject({ url: httpUrl, allowPrivateNetwork: z.boolean().default(false) })
    .refine(isHttpsUnlessPrivate, httpsNeeded),
  z.strictObject({ subscription: line(100) }),
]);

const actionInput = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('log') }),
  z.strictObject({
    kind: z.literal('notify'),
    title: template,
    text: template.optional(),
    severity: z.enum(severities).optional(),
  }),
  z.strictObject({
    kind: z.literal('create-task'),
    task: z.strictObject({
      type: eventType,
      title: template,
      target: template,
      targetRole: z.enum(taskRoles),
      risk: z.enum(risks).default('medium'),
      severity: z.enum(issueSeverities).optional(),
      payload: mapping.optional(),
      reversible: z.boolean().optional(),
      fingerprint: template.optional(),
    }),
  }),
  z.strictObject({ kind: z.literal('trigger-halo') }),
  z.strictObject({ kind: z.literal('transform'), emit: emitInput }),
  z.strictObject({
    kind: z.literal('aggregate'),
    count: z.number().int().min(2).max(100_000),
    windowSeconds: z.number().int().min(1).max(604_800),
    key: line(300).optional(),
    emit: emitInput,
  }),
  z.strictObject({ kind: z.literal('forward'), to: forwardInput }),
]);
type ActionInput = z.infer<typeof actionInput>;

/** A name is a part of an event type: a wormhole that notifies does so as `wormhole.<name>`. */
const name = z
  .string()
  .max(60)
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'must be small letters and digits, with - between them');

export const wormholeInput = z.strictObject({
  name,
  description: z.string().max(500).default(''),
  match: matchInput,
  action: actionInput,
  maxHops: z.number().int().min(1).max(maxHops).default(maxHops),
});

export const wormholeEdit = z
  .strictObject({
    name: name.optional(),
    description: z.string().max(500).optional(),
    match: matchInput.optional(),
    action: actionInput.optional(),
    maxHops: z.number().int().min(1).max(maxHops).optional(),
  })
  .refine((edit) => Object.values(edit).some((value) => value !== undefined), 'names nothing to change');

export type ActionParts = { action: WormholeAction; url: string | null };

/** The action parted into what may be read and the address, which is sealed. */
export function partsOf(given: ActionInput): ActionParts {
  if (given.kind !== 'forward') return { action: given, url: null };
  const { to } = given;
  if ('subscription' in to)
    return { action: { kind: 'forward', to: { kind: 'subscription', ...to } }, url: null };
  const { url, allowPrivateNetwork } = to;
  const origin = new URL(url).origin;
  return { action: { kind: 'forward', to: { kind: 'webhook', origin, allowPrivateNetwork } }, url };
}

/** What whoever writes or enables a wormhole has to be allowed, as it acts on their behalf. */
export const neededFor: Record<WormholeActionKind, Permission | null> = {
  log: null,
  forward: 'events:read',
  notify: 'events:write',
  transform: 'events:write',
  aggregate: 'events:write',
  'create-task': 'tasks:write',
  'trigger-halo': 'halo:run',
};
