import { z } from '@hono/zod-openapi';
import {
  type ChannelConfig,
  type ChannelKind,
  channelKinds,
  type ChannelSecret,
  defaultTopics,
  isLoopbackHost,
  smtpSecurities,
} from '../../domain/channel.ts';
import { severities, typePattern } from '../../domain/events.ts';
import type { JsonObject } from '../../domain/json.ts';
import { refuse } from '../../domain/refusal.ts';
import { issuesOf } from '../issues.ts';
import { throwRefusal } from '../problems.ts';
import { anyObject, line } from '../schemas.ts';
import { httpsNeeded, httpUrl, isHttpsUnlessPrivate } from '../web-address.ts';

const webhook = z
  .strictObject({ url: httpUrl, allowPrivateNetwork: z.boolean().default(false) })
  .refine(isHttpsUnlessPrivate, httpsNeeded);

const mailAddress = z.email('must be one mail address, such as ops@example.com').max(254);

const smtp = z
  .strictObject({
    host: z
      .string()
      .max(253)
      .regex(
        /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[?[0-9A-Fa-f:.]+\]?)$/,
        'must be a host name or an address',
      ),
    port: z.number().int().min(1).max(65_535),
    secure: z.enum(smtpSecurities, 'must be starttls, tls or none').default('starttls'),
    from: mailAddress,
    to: z.array(mailAddress).min(1).max(50),
    user: line(200).optional(),
    password: line(1000).optional(),
    allowPrivateNetwork: z.boolean().default(false),
    ca: z
      .string()
      .max(32 * 1024)
      .regex(/^\s*-----BEGIN CERTIFICATE-----/, 'must be certificates in PEM form')
      .optional(),
  })
  .refine(({ user, password }) => (user === undefined) === (password === undefined), {
    path: ['password'],
    message: 'user and password belong together; give both, also where only one of them changes, or neither',
  })
  .refine(
    ({ secure, password, host }) => secure !== 'none' || password === undefined || isLoopbackHost(host),
    {
      path: ['secure'],
      message: 'is "none", and a password must not leave this machine in the open; use starttls or tls',
    },
  );

const configs = { webhook, discord: webhook, smtp } as const satisfies Record<ChannelKind, z.ZodType>;

export type ChannelParts = { config: ChannelConfig; secret: ChannelSecret | null };

/** The configuration of a channel, checked by the rules of its kind and parted into what may be read and what is sealed. */
export function partsOf(kind: ChannelKind, given: Record<string, unknown>): ChannelParts {
  const result = configs[kind].safeParse(given);
  if (!result.success) {
    const issues: JsonObject[] = issuesOf(result.error).map(({ path, message }) => ({
      path: ['config', ...path],
      message,
    }));
    const [first] = issuesOf(result.error);
    const where = ['config', ...(first?.path ?? [])].join('.');
    throwRefusal(
      refuse('INVALID', `${where}: ${first?.message ?? 'not valid'} (a channel of kind ${kind}).`, {
        issues,
      }),
    );
  }
  const data = result.data;
  if ('url' in data) {
    const { url, allowPrivateNetwork } = data;
    return { config: { origin: new URL(url).origin, allowPrivateNetwork }, secret: { url } };
  }
  const { password, user, ca, ...rest } = data;
  return {
    config: { ...rest, user: user ?? null, ca: ca ?? null },
    secret: password === undefined ? null : { password },
  };
}

const settings = {
  topics: z.array(typePattern).max(100),
  minSeverity: z.enum(severities),
  cooldownMs: z.number().int().min(0).max(86_400_000),
};

export const channelInput = z.strictObject({
  name: line(80),
  kind: z.enum(channelKinds),
  config: anyObject,
  topics: settings.topics.default([...defaultTopics]),
  minSeverity: settings.minSeverity.default('info'),
  cooldownMs: settings.cooldownMs.default(60_000),
});

export const channelEdit = z
  .strictObject({
    name: line(80).optional(),
    config: anyObject.optional(),
    topics: settings.topics.optional(),
    minSeverity: settings.minSeverity.optional(),
    cooldownMs: settings.cooldownMs.optional(),
  })
  .refine((edit) => Object.values(edit).some((value) => value !== undefined), 'names nothing to change');
