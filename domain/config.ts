import { z } from 'zod';
import { defaultGrowthLimits } from './dead-letter.ts';
import { defaultAutonomyThreshold } from './autonomy.ts';
import { defaultHaloLimits, defaultHaloTriggers, defaultSettleMs } from './halo-loop.ts';
import { refuse, type Refusal } from './refusal.ts';

/** https, or this machine: a login must not travel in the clear, but here it does not travel. */
export function isTrustedUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  const isLoopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(hostname);
  return protocol === 'https:' || (protocol === 'http:' && isLoopback);
}

const trustedUrl = z.string().refine(isTrustedUrl, 'has to be an https address');

const milliseconds = z.coerce.number().int().min(0).max(86_400_000);

/** Settings that API and worker share, as environment variables; unknown variables are left alone. */
const settings = z.object({
  DATABASE_URL: z.string().min(1),
  DREAMNET_DATA_DIR: z.string().min(1).default('.dreamnet'),
  DREAMNET_TEMPORAL_UI_URL: z.url().default('http://127.0.0.1:8233'),
  DREAMNET_RAW_SIGNALS: z.enum(['refuse', 'accept']).default('refuse'),
  DREAMNET_HALO_COOLDOWN_MS: milliseconds.default(defaultHaloLimits.cooldownMs),
  DREAMNET_HALO_ERROR_WINDOW_MS: milliseconds.default(defaultHaloLimits.errorWindowMs),
  DREAMNET_HALO_SETTLE_MS: milliseconds.default(defaultSettleMs),
  DREAMNET_HALO_CYCLES_PER_HOUR: z.coerce
    .number()
    .int()
    .min(1)
    .max(3600)
    .default(defaultHaloLimits.cyclesPerHour),
  DREAMNET_HALO_INTERVAL_MS: milliseconds
    .refine((ms) => ms === 0 || ms >= 1_000, 'has to be 0, which is off, or at least 1000')
    .default(defaultHaloTriggers.intervalMs),
  DREAMNET_HALO_REQUESTS: z.coerce
    .number()
    .int()
    .min(0)
    .max(1_000_000_000)
    .default(defaultHaloTriggers.requests),
  DREAMNET_HALO_ERRORS: z.coerce.number().int().min(0).max(1_000_000_000).default(defaultHaloTriggers.errors),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
});

const list = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  );

function isOrigin(text: string): boolean {
  return /^https?:\/\/(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?$/.test(text);
}

const apiSettings = settings.extend({
  PORT: z.coerce.number().int().min(0).max(65535).default(8080),
  DREAMNET_HOST: z.string().default('127.0.0.1'),
  DREAMNET_KEY_PEPPER_FILE: z.string().min(1),
  DREAMNET_TICKET_PRIVATE_KEY_FILE: z.string().min(1),
  DREAMNET_AGENT_ROOT_FILE: z.string().min(1),
  DREAMNET_KEY_ENVIRONMENT: z
    .string()
    .regex(/^[a-z]{2,8}$/, 'has to be 2 to 8 small letters')
    .default('live'),
  DREAMNET_OIDC_ISSUER: trustedUrl.optional(),
  DREAMNET_OIDC_AUDIENCE: z.string().min(1).max(200).optional(),
  DREAMNET_OIDC_JWKS_URL: trustedUrl.optional(),
  DREAMNET_CORS_ORIGINS: list.refine((origins) => origins.every(isOrigin), {
    error: 'is a list of exact origins such as https://console.example, separated by commas; * is not one',
  }),
  DREAMNET_TRUSTED_PROXIES: list,
  DREAMNET_ADDRESS_LIMIT_PER_MINUTE: z.coerce.number().int().min(1).max(1_000_000).default(100),
  DREAMNET_STREAMS_PER_PRINCIPAL: z.coerce.number().int().min(1).max(10_000).default(20),
  DREAMNET_STREAMS_PER_PROCESS: z.coerce.number().int().min(1).max(10_000).default(200),
  DREAMNET_AUDIT_PUBLIC_KEY_FILE: z.string().min(1),
  DREAMNET_SECRET_BOX_KEY_FILE: z.string().min(1),
});

const apiConfig = apiSettings
  .refine(
    (given) => (given.DREAMNET_OIDC_ISSUER === undefined) === (given.DREAMNET_OIDC_AUDIENCE === undefined),
    {
      path: ['DREAMNET_OIDC_AUDIENCE'],
      message: 'goes together with DREAMNET_OIDC_ISSUER; set both or none',
    },
  )
  .refine((given) => given.DREAMNET_OIDC_JWKS_URL === undefined || given.DREAMNET_OIDC_ISSUER !== undefined, {
    path: ['DREAMNET_OIDC_JWKS_URL'],
    message: 'means nothing without DREAMNET_OIDC_ISSUER',
  });

const mostWatched = 20;

/** Whatever is named here is shown to everybody who may read HALO. */
function watched(isOne: (item: string) => boolean, message: string) {
  return list
    .refine((items) => items.length <= mostWatched, `names more than ${mostWatched}`)
    .refine((items) => new Set(items).size === items.length, 'names one twice')
    .refine((items) => items.every(isOne), message);
}

const watchedFiles = watched(isWatchedPath, 'is a list of absolute paths, separated by commas');

function isWatchedPath(text: string): boolean {
  return /^\/[^\p{Cc}]{1,299}$/u.test(text);
}

function isHostName(text: string): boolean {
  return text.length <= 253 && /^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?$/i.test(text);
}

/** Logins and tokens do not belong into an address that is shown. */
function isHealthUrl(text: string): boolean {
  if (text.length > 300 || !URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return /^https?:$/.test(protocol) && [username, password, search, hash].every((part) => part === '');
}

const workerSettings = settings.extend({
  DREAMNET_TICKET_PUBLIC_KEY_FILE: z.string().min(1),
  DREAMNET_AGENT_ROOT_FILE: z.string().min(1),
  DREAMNET_AUDIT_PRIVATE_KEY_FILE: z.string().min(1),
  DREAMNET_AUDIT_HEADS_FILE: z.string().min(1).optional(),
  DREAMNET_SECRET_BOX_KEY_FILE: z.string().min(1),
  DREAMNET_PUBLIC_URL: z.url({ protocol: /^https?$/ }).default('http://127.0.0.1:8080'),
  DREAMNET_MAX_CACHED_WORKFLOWS: z.coerce.number().int().min(10).max(100_000).default(300),
  DREAMNET_SHUTDOWN_GRACE_MS: milliseconds.default(15_000),
  DREAMNET_DEAD_LETTERS_OPEN_LIMIT: z.coerce
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(defaultGrowthLimits.open),
  DREAMNET_DEAD_LETTERS_GROWTH_LIMIT: z.coerce
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(defaultGrowthLimits.growth),
  DREAMNET_DEAD_LETTERS_COOLDOWN_MS: milliseconds.default(defaultGrowthLimits.cooldownMs),
  DREAMNET_AUTONOMY_STREAK: z.coerce.number().int().min(2).max(1000).default(defaultAutonomyThreshold.streak),
  DREAMNET_AUTONOMY_SHARE: z.coerce.number().min(0.5).max(1).default(defaultAutonomyThreshold.share),
  DREAMNET_WATCH_ENV_FILES: watchedFiles.refine(
    (files) => files.length !== 1,
    'needs two files or more: the others are compared with the first',
  ),
  DREAMNET_WATCH_HOSTS: watched(isHostName, 'is a list of host names, separated by commas'),
  DREAMNET_WATCH_HEALTH_URLS: watched(
    isHealthUrl,
    'is a list of http or https addresses without login, query and fragment, separated by commas',
  ),
  DREAMNET_WATCH_PRIVATE_NETWORK: z.enum(['refuse', 'allow']).default('refuse'),
  DREAMNET_WATCH_DISKS: watchedFiles,
  DREAMNET_WATCH_BUILDS: watchedFiles,
  DREAMNET_WATCH_LOCK_FILES: watchedFiles,
  DREAMNET_WATCH_OWNER: z
    .string()
    .regex(/^prn_[a-z0-9_]{1,60}$/i, 'is the id of a principal, prn_...')
    .optional(),
  DREAMNET_VERDICT_GIVE_UP_HOURS: z.coerce.number().int().min(1).max(720).default(24),
});

export type ApiConfig = z.infer<typeof apiSettings>;
export type WorkerConfig = z.infer<typeof workerSettings>;

type Environment = Record<string, string | undefined>;

function read<T>(schema: z.ZodType<T>, environment: Environment): T | Refusal {
  // A variable set to nothing is left out: compose files write `NAME: ${NAME:-}`, and as a number it would be 0.
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const lines = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  return refuse(
    'INVALID',
    `Configuration is not usable. ${lines.join('; ')}. See "Configuration" in README.md.`,
  );
}

/** Reads the API's settings, or says which variable is wrong and why. */
export function parseApiConfig(environment: Environment): ApiConfig | Refusal {
  return read(apiConfig, environment);
}

/** Reads the worker's settings, or says which variable is wrong and why. */
export function parseWorkerConfig(environment: Environment): WorkerConfig | Refusal {
  return read(workerSettings, environment);
}
