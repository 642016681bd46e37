import { z } from '@hono/zod-openapi';
import type { SubscriptionParts } from '../../db/subscription-change.ts';
import { defaultRetry, type RetryPolicy, type Strategy, strategies } from '../../domain/delivery.ts';
import { compileFilter } from '../../domain/event-filter.ts';
import { severities, sourceTypes, typePattern } from '../../domain/events.ts';
import { isRefusal, refuse } from '../../domain/refusal.ts';
import { checkTemplate } from '../../domain/signal-target.ts';
import { type EventMatch, maxConsumers } from '../../domain/subscription.ts';
import { throwRefusal } from '../problems.ts';
import { control, line } from '../schemas.ts';
import { httpsNeeded, httpUrl, isHttpsUnlessPrivate } from '../web-address.ts';

export const keyText = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])$/,
    'has 2 to 60 small letters, digits and hyphens, none at its ends',
  );

/** Where a page of subscriptions ends. */
export const keyPlace = z.strictObject({ key: keyText });

const sourcePattern = z
  .string()
  .max(240)
  .regex(
    new RegExp(`^(?:${sourceTypes.join('|')}):[^*${control}]*\\*?$`),
    `must be TYPE:ID, and may end in *; types: ${sourceTypes.join(', ')}`,
  );

const match = z.strictObject({
  types: z.array(typePattern).max(100).default([]),
  minSeverity: z.enum(severities).default('info'),
  excludeSourceTypes: z.array(z.enum(sourceTypes)).max(sourceTypes.length).default([]),
  sources: z.array(sourcePattern).max(100).optional(),
  destination: line(200).optional(),
  filter: z.string().min(1).max(2000).optional(),
});

const webhook = z
  .strictObject({
    kind: z.literal('webhook'),
    url: httpUrl,
    allowPrivateNetwork: z.boolean().default(false),
    timeoutMs: z.number().int().min(100).max(30_000).default(10_000),
  })
  .refine(isHttpsUnlessPrivate, httpsNeeded);

const signal = z.strictObject({
  kind: z.literal('signal'),
  workflowId: z.string().min(1).max(200),
  signal: line(100),
});

const handler = z.discriminatedUnion('kind', [webhook, signal]);
export type HandlerInput = z.infer<typeof handler>;

const retry = z
  .strictObject({
    maxAttempts: z.number().int().min(1).max(20).default(defaultRetry.maxAttempts),
    backoffMs: z.number().int().min(100).max(3_600_000).default(defaultRetry.backoffMs),
    maxBackoffMs: z.number().int().min(100).max(86_400_000).default(defaultRetry.maxBackoffMs),
  })
  .refine(({ backoffMs, maxBackoffMs }) => backoffMs <= maxBackoffMs, {
    path: ['maxBackoffMs'],
    message: 'is below backoffMs',
  });

const parts = {
  description: z.string().max(1000),
  match,
  strategy: z.enum(strategies),
  consumers: z.number().int().min(1).max(maxConsumers),
  handler,
  retry,
  deadlineMs: z.number().int().min(1000).max(2_592_000_000).nullable(),
};

/** `now`, `start`, or a cursor of the log. */
export const placeText = z.string().min(1).max(400);

export const subscriptionInput = z.strictObject({
  key: keyText,
  description: parts.description.default(''),
  match: match.default({ types: [], minSeverity: 'info', excludeSourceTypes: [] }),
  strategy: parts.strategy.default('broadcast'),
  consumers: parts.consumers.optional(),
  handler,
  retry: retry.optional(),
  deadlineMs: parts.deadlineMs.default(null),
  from: placeText.default('now'),
});

export const subscriptionEdit = z
  .strictObject({
    version: z.number().int().min(1),
    description: parts.description.optional(),
    match: match.optional(),
    strategy: parts.strategy.optional(),
    consumers: parts.consumers.optional(),
    handler: handler.optional(),
    retry: retry.optional(),
    deadlineMs: parts.deadlineMs.optional(),
  })
  .refine(
    ({ version: _version, ...edit }) => Object.values(edit).some((value) => value !== undefined),
    'names nothing to change',
  );

/** Without what was left out: an absent member means "any". */
export function matchOf({ sources, destination, filter, ...rest }: z.infer<typeof match>): EventMatch {
  return {
    ...rest,
    ...(sources === undefined ? {} : { sources }),
    ...(destination === undefined ? {} : { destination }),
    ...(filter === undefined ? {} : { filter }),
  };
}

export function retryOf(given: z.infer<typeof retry> | undefined): RetryPolicy {
  return given ?? defaultRetry;
}

/** How many share a subscription: two unless said otherwise, and nobody shares one that is not balanced. */
export function consumersOf(strategy: Strategy, given: number | undefined): number {
  if (strategy === 'balanced') return given ?? 2;
  if (given !== undefined && given !== 1)
    throwRefusal(refuse('INVALID', `consumers: only the strategy balanced is shared; ${strategy} has one.`));
  return 1;
}

/** Refuses what does not fit together: each strategy looks at members of the match of its own. */
export function checkRouting({
  strategy,
  match: wanted,
}: Pick<SubscriptionParts, 'strategy' | 'match'>): void {
  const invalid = (message: string): never => throwRefusal(refuse('INVALID', message));
  const { destination, filter } = wanted;
  if ((strategy === 'direct') !== (destination !== undefined))
    invalid(
      'match.destination: names whom events are for; the strategy direct needs it, the others take none.',
    );
  if ((strategy === 'filtered') !== (filter !== undefined))
    invalid(
      'match.filter: is the expression of the strategy filtered, which needs it; the others take none.',
    );
  if (filter === undefined) return;
  const compiled = compileFilter(filter);
  if (isRefusal(compiled)) invalid(`match.filter: ${compiled.message}`);
}

/** Refuses a signal to a run of this system, and a workflow id that could be none. */
export function checkHandler(given: HandlerInput): void {
  const refusal = given.kind === 'signal' ? checkTemplate(given.workflowId) : null;
  if (refusal !== null) throwRefusal(refuse(refusal.refused, `handler.workflowId: ${refusal.message}`));
}
