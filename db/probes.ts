import { and, asc, eq, gt, sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import type { ProbeAssertions, ProbeJudgement, ProbeObservation } from '../domain/probe.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { derivedId } from './ids.ts';
import { withinScopes } from './scopes.ts';
import { type ProbeResult, probes } from './schema/index.ts';

export type ProbeRow = typeof probes.$inferSelect;

export async function getProbe(db: Db, id: string): Promise<ProbeRow | null> {
  const [row] = await db.select().from(probes).where(eq(probes.id, id));
  return row ?? null;
}

export async function listProbes(
  db: Db,
  after: string,
  limit: number,
  scopes: readonly string[] | null = null,
): Promise<ProbeRow[]> {
  return db
    .select()
    .from(probes)
    .where(and(gt(probes.id, after), withinScopes(sql`('probe:' || ${probes.id})`, scopes)))
    .orderBy(asc(probes.id))
    .limit(limit);
}

export type NewProbe = {
  id: string;
  name: string;
  method: ProbeRow['method'];
  url: string;
  headers: Record<string, string>;
  body: string | null;
  assertions: ProbeAssertions;
  timeoutMs: number;
  intervalSeconds: number | null;
  allowPrivateNetwork: boolean;
  owner: string;
  dependsOn?: string[];
};

/** Stores a probe; unchanged when its name is taken. */
export async function createProbe(
  db: Db,
  input: NewProbe & { opKey: string },
): Promise<ChangeOutcome<{ id: string }>> {
  const { opKey, ...probe } = input;
  return change(db, {
    opKey,
    write: db
      .insert(probes)
      .values({ ...probe, state: 'unknown' })
      .onConflictDoNothing()
      .returning()
      .getSQL(),
    events: [
      {
        type: eventTypes.probeCreated,
        source: { type: 'api', id: probe.id },
        payload: { probeId: probe.id, name: probe.name, method: probe.method, url: probe.url },
      },
    ],
    audit: {
      actor: probe.owner,
      action: 'probe.create',
      subjectKind: 'probe',
      subjectId: probe.id,
      detail: {
        ...{ name: probe.name, url: probe.url, allowPrivateNetwork: probe.allowPrivateNetwork },
        ...(probe.dependsOn?.length ? { dependsOn: probe.dependsOn } : {}),
      },
    },
    result: sql`jsonb_build_object('id', changed.id)`,
  });
}

/** Switches a probe on or off; unchanged when it already is. */
export async function setProbeEnabled(
  db: Db,
  input: { id: string; enabled: boolean; actor: string; opKey: string },
): Promise<ChangeOutcome<{ id: string }>> {
  const { id, enabled } = input;
  return change(db, {
    opKey: input.opKey,
    write: db
      .update(probes)
      .set({ enabled, updatedAt: sql`now()` })
      .where(and(eq(probes.id, id), eq(probes.enabled, !enabled)))
      .returning()
      .getSQL(),
    events: [
      { type: eventTypes.probeChanged, source: { type: 'api', id }, payload: { probeId: id, enabled } },
    ],
    audit: {
      actor: input.actor,
      action: enabled ? 'probe.enable' : 'probe.disable',
      subjectKind: 'probe',
      subjectId: id,
    },
    result: sql`jsonb_build_object('id', changed.id)`,
  });
}

/** Stores what a probe saw and emits its event; a repeated run of the same check is counted once. */
export async function recordProbeResult(
  db: Db,
  input: { probe: ProbeRow; opKey: string; observation: ProbeObservation; judgement: ProbeJudgement },
): Promise<{ eventId: string } & Pick<ProbeJudgement, 'ok' | 'failures'>> {
  const { probe, observation, judgement } = input;
  const result: ProbeResult = {
    ok: judgement.ok,
    status: observation.status,
    latencyMs: Math.round(observation.latencyMs),
    failures: judgement.failures,
    at: new Date().toISOString(),
  };
  const { ok, failures } = judgement;
  const eventId = derivedId('evt', input.opKey);
  const outcome = await change<{ ok: boolean; failures: string[] }>(db, {
    opKey: input.opKey,
    write: db
      .update(probes)
      .set({
        state: judgement.ok ? 'ok' : 'failed',
        consecutiveFailures: judgement.ok ? 0 : sql`${probes.consecutiveFailures} + 1`,
        lastResult: result,
        updatedAt: sql`now()`,
      })
      .where(eq(probes.id, probe.id))
      .returning()
      .getSQL(),
    events: [
      {
        id: eventId,
        type: judgement.ok ? eventTypes.endpointSucceeded : eventTypes.endpointFailed,
        severity: judgement.severity,
        source: { type: 'api', id: probe.id },
        payload: {
          probeId: probe.id,
          name: probe.name,
          method: probe.method,
          url: probe.url,
          status: result.status,
          latencyMs: result.latencyMs,
          failures: result.failures,
        },
        correlationId: probe.id,
      },
    ],
    audit: {
      actor: 'system',
      action: 'probe.run',
      subjectKind: 'probe',
      subjectId: probe.id,
      detail: { ok: result.ok, status: result.status },
    },
    result: sql`${JSON.stringify({ ok, failures })}::text::jsonb`,
  });
  return { eventId, ...(outcome.status === 'unchanged' ? { ok, failures } : outcome.result) };
}
