import type { AuditEntry } from './audit.ts';

/** Statements of the database measure an expiry when they begin, the audit when they end. */
const skewMs = 60_000;

type Grant = { by: string; version: number; expiresAtMs: number | null };

export type GrantCheck = {
  next(entry: AuditEntry, detail: Record<string, unknown>): void;
  /** Why a standing approval that names this grant does not count at this entry; null where it does. */
  whyNot(named: NamedGrant, at: string): string | null;
};

export type NamedGrant = { pair: string; version: number; grantor: string };

/** Reads a standing approval's words; null where they do not name a grant. */
export function namedGrant(detail: Record<string, unknown>): NamedGrant | null {
  const { grant, grantVersion, grantor } = detail;
  return typeof grant === 'string' && typeof grantVersion === 'number' && typeof grantor === 'string'
    ? { pair: grant, version: grantVersion, grantor }
    : null;
}

/**
 * A standing approval rests on an entry before it by which its grantor granted exactly this pair in this version, and
 * that nobody withdrew, no failed verification ended and no time was over for.
 */
export function checkGrants(): GrantCheck {
  const grants = new Map<string, Grant>();
  return {
    next({ action, subjectId, actor, subjectKind }, detail) {
      if (action === 'autonomy.grant' && subjectKind === 'autonomy') {
        const expiresAtMs = typeof detail.expiresAt === 'string' ? Date.parse(detail.expiresAt) : null;
        grants.set(subjectId, { by: actor, version: Number(detail.version), expiresAtMs });
      } else if (action === 'autonomy.withdraw') grants.delete(subjectId);
      else if (action === 'repair.judge' && typeof detail.pair === 'string' && detail.autonomy === 'manual')
        grants.delete(detail.pair);
    },
    whyNot({ pair, version, grantor }, at) {
      const grant = grants.get(pair);
      if (grant?.version !== version || grant.by !== grantor)
        return `no entry before it has ${grantor} grant ${pair} in version ${version}, or the grant was withdrawn since`;
      if (grant.expiresAtMs !== null && Date.parse(at) > grant.expiresAtMs + skewMs)
        return `the grant of ${pair} was over`;
      return null;
    },
  };
}
