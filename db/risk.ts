import { sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import { type RiskSignals, riskScore } from '../domain/risk.ts';
import type { Db } from './client.ts';

/** What the record knows of a principal's last 24 hours; null when there is no such principal. */
export async function riskSignals(db: Db, principalId: string): Promise<RiskSignals | null> {
  // Threats against one's keys or address are made by others, so they do not count; threats one makes oneself do.
  const [row] = await db.execute<Record<keyof Flat, number>>(sql`
    select extract(epoch from now() - p.created_at)::float8 / 86400 as "ageDays",
      (select coalesce(sum((e.payload->>'count')::int), 0)::int from events e
        where e.type = ${eventTypes.loginFailed} and e.recorded_at > now() - interval '24 hours'
          and e.payload->>'keyId' in (select k.id from keys k where k.principal_id = p.id)) as "failedLogins",
      (select coalesce(sum((e.payload->>'count')::int), 0)::int from events e
        where e.type = ${eventTypes.accessDenied} and e.recorded_at > now() - interval '24 hours'
          and e.payload->>'principalId' = p.id) as denials,
      (select count(*)::int from audit_entries a
        where a.actor = p.id and a.outcome = 'refused' and a.at > now() - interval '24 hours') as refusals,
      t.warning, t.error, t.critical
    from principals p, lateral (
      select count(*) filter (where severity = 'warning')::int as warning,
        count(*) filter (where severity = 'error')::int as error,
        count(*) filter (where severity = 'critical')::int as critical
      from threats where subject_kind = 'principal' and subject_id = p.id and state = 'active' and expires_at > now()
    ) t
    where p.id = ${principalId}`);
  if (row === undefined) return null;
  const { ageDays, failedLogins, denials, refusals, warning, error, critical } = row;
  return { ageDays, failedLogins, denials, refusals, activeThreats: { warning, error, critical } };
}

type Flat = Omit<RiskSignals, 'activeThreats'> & RiskSignals['activeThreats'];

/** How risky it is to let a principal decide now, 0 to 100; one that is not on record is as risky as can be. */
export async function riskOf(db: Db, principalId: string): Promise<number> {
  const signals = await riskSignals(db, principalId);
  return signals === null ? 100 : riskScore(signals);
}
