import { z } from 'zod';
import { defaultHaloLimits } from './halo.ts';
import { refuse, type Refusal } from './refusal.ts';

const milliseconds = z.coerce.number().int().min(0).max(86_400_000);

/** Settings that API and worker share, as environment variables; unknown variables are left alone. */
const settings = z.object({
  DATABASE_URL: z.string().min(1),
  DREAMNET_DATA_DIR: z.string().min(1).default('.dreamnet'),
  DREAMNET_TEMPORAL_UI_URL: z.url().default('http://127.0.0.1:8233'),
  DREAMNET_RAW_SIGNALS: z.enum(['refuse', 'accept']).default('refuse'),
  DREAMNET_HALO_COOLDOWN_MS: milliseconds.default(defaultHaloLimits.cooldownMs),
  DREAMNET_HALO_ERROR_WINDOW_MS: milliseconds.default(defaultHaloLimits.errorWindowMs),
  DREAMNET_HALO_CYCLES_PER_HOUR: z.coerce
    .number()
    .int()
    .min(1)
    .max(3600)
    .default(defaultHaloLimits.cyclesPerHour),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
});

const apiSettings = settings.extend({
  PORT: z.coerce.number().int().min(0).max(65535).default(8080),
  DREAMNET_HOST: z.string().default('127.0.0.1'),
  DREAMNET_KEY_PEPPER_FILE: z.string().min(1),
  DREAMNET_TICKET_PRIVATE_KEY_FILE: z.string().min(1),
  DREAMNET_AGENT_ROOT_FILE: z.string().min(1),
  DREAMNET_SECRET_BOX_KEY_FILE: z.string().min(1),
});

const workerSettings = settings.extend({
  DREAMNET_TICKET_PUBLIC_KEY_FILE: z.string().min(1),
  DREAMNET_AGENT_ROOT_FILE: z.string().min(1),
  DREAMNET_SECRET_BOX_KEY_FILE: z.string().min(1),
  DREAMNET_PUBLIC_URL: z.url({ protocol: /^https?$/ }).default('http://127.0.0.1:8080'),
  DREAMNET_MAX_CACHED_WORKFLOWS: z.coerce.number().int().min(10).max(100_000).default(300),
  DREAMNET_SHUTDOWN_GRACE_MS: milliseconds.default(15_000),
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
  return read(apiSettings, environment);
}

/** Reads the worker's settings, or says which variable is wrong and why. */
export function parseWorkerConfig(environment: Environment): WorkerConfig | Refusal {
  return read(workerSettings, environment);
}
