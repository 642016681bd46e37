import { z } from '@hono/zod-openapi';
import { type ExecutorConfig, maxMaxConcurrency } from '../../domain/agent.ts';
import type { JsonObject } from '../../domain/json.ts';
import { refuse } from '../../domain/refusal.ts';
import { type Executor, executors, taskRoles } from '../../domain/task.ts';
import { issuesOf } from '../issues.ts';
import { throwRefusal } from '../problems.ts';
import { anyObject } from '../schemas.ts';
import { httpUrl } from '../web-address.ts';

const configs = {
  temporal: z.strictObject({
    taskQueue: z.string().regex(/^[A-Za-z0-9_.:/-]{1,200}$/),
    pickupTimeoutMs: z.number().int().min(1000).max(86_400_000).optional(),
    heartbeatTimeoutMs: z.number().int().min(1000).max(3_600_000).optional(),
  }),
  http: z.strictObject({ url: httpUrl, allowPrivateNetwork: z.boolean().optional() }),
  command: z.strictObject({
    command: z.array(z.string().min(1).max(4000)).min(1).max(100),
    cwd: z.string().min(1).max(1000).optional(),
    env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,100}$/), z.string().max(4000)).optional(),
    memoryMb: z.number().int().min(16).max(65_536).optional(),
  }),
} as const satisfies Record<Executor, z.ZodType>;

/** The configuration of an executor, checked by that executor's own rules. */
export function configFor(executor: Executor, config: Record<string, unknown>): ExecutorConfig {
  const result = configs[executor].safeParse(config);
  if (!result.success) {
    const issues: JsonObject[] = issuesOf(result.error).map(({ path, message }) => ({
      path: ['config', ...path],
      message,
    }));
    throwRefusal(refuse('INVALID', `This is not a configuration of the executor ${executor}.`, { issues }));
  }
  return withoutUndefined(result.data);
}

// zod marks what was left out as possibly undefined; stored JSON has no such value.
function withoutUndefined(config: object): ExecutorConfig {
  return Object.fromEntries(
    Object.entries(config).filter(([, value]) => value !== undefined),
  ) as ExecutorConfig;
}

/** How many tasks an agent runs at once. */
export const maxConcurrency = z.number().int().min(1).max(maxMaxConcurrency);

export const agentInput = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$/),
  role: z.enum(taskRoles),
  capabilities: z
    .array(
      z
        .string()
        .max(120)
        .regex(/^(?:[a-z0-9-]+\.)*(?:[a-z0-9-]+|\*)$/),
    )
    .min(1)
    .max(100),
  executor: z.enum(executors),
  config: anyObject,
  maxConcurrency: maxConcurrency.optional(),
});
