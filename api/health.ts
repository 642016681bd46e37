import { horizonAgeMs } from '../db/events.ts';
import { requireCurrentSchema } from '../db/migrate.ts';
import { pingDatabase } from '../db/status.ts';
import { DomainError } from '../domain/refusal.ts';
import type { ApiDeps } from './context.ts';
import { describeError } from './problems.ts';

export type Check = { ok: boolean; message: string };
export type Readiness = {
  ready: boolean;
  checks: { postgres: Check; schema: Check; temporal: Check };
  /** Age of the oldest transaction that readers of the log wait for, null while it cannot be told. */
  horizonAgeMs: number | null;
};

const fine: Check = { ok: true, message: 'ok' };

async function check(deps: ApiDeps, name: string, work: () => Promise<unknown>): Promise<Check> {
  try {
    await work();
    return fine;
  } catch (error) {
    deps.log.warn({ err: describeError(error), check: name }, 'not ready');
    // Only sentences of our own leave the process: a driver's message can name hosts and users.
    return { ok: false, message: error instanceof DomainError ? error.message : `${name} does not answer` };
  }
}

async function look(deps: ApiDeps): Promise<Readiness> {
  const { db, log } = deps.database;
  const [postgres, temporal] = await Promise.all([
    check(deps, 'Postgres', () => pingDatabase(log)),
    check(deps, 'Temporal', () => deps.temporal.check()),
  ]);
  const schema = postgres.ok
    ? await check(deps, 'the schema', () => requireCurrentSchema(db))
    : { ok: false, message: 'unknown while Postgres does not answer' };
  const age = postgres.ok ? Math.round(await horizonAgeMs(log)) : null;
  const checks = { postgres, schema, temporal };
  return { ready: postgres.ok && schema.ok && temporal.ok, checks, horizonAgeMs: age };
}

/** Anyone may ask, so questions that arrive together share one look. */
export function createReadiness(deps: ApiDeps): () => Promise<Readiness> {
  let current: Promise<Readiness> | null = null;
  return () => {
    current ??= look(deps).finally(() => {
      current = null;
    });
    return current;
  };
}
