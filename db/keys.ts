import { and, eq, isNull, lt, or, sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { keys } from './schema/index.ts';

/** Notes that a key is in use, to the minute; of many requests at once one writes. */
export async function touchKey(db: Db, id: string): Promise<void> {
  await db
    .update(keys)
    .set({ lastUsedAt: sql`now()` })
    .where(
      and(
        eq(keys.id, id),
        or(isNull(keys.lastUsedAt), lt(keys.lastUsedAt, sql`now() - interval '1 minute'`)),
      ),
    );
}

export type Rotation = {
  id: string;
  hash: string;
  from: string;
  overlapSeconds: number;
  /** How long the new key lasts where the old one had no end. */
  defaultDays: number | null;
  actor: string;
  opKey: string;
};

/**
 * A new key in the place of another: same principal, scopes and length of life. The old one ends after the overlap, in
 * the same statement. Unchanged when the old key no longer opens anything or has a successor already.
 */
export async function rotateKey(
  db: Db,
  input: Rotation,
): Promise<ChangeOutcome<{ id: string; expiresAt: string | null; oldExpiresAt: string }>> {
  const { id, hash, from, overlapSeconds, defaultDays } = input;
  const overlap = sql`now() + make_interval(secs => ${overlapSeconds}::double precision)`;
  return change(db, {
    opKey: input.opKey,
    write: sql`
      insert into keys (id, principal_id, label, hash, scopes, issued_by, rotated_from, expires_at)
      select ${id}, o.principal_id, o.label, ${hash}, o.scopes, ${input.actor}, o.id,
             case when o.expires_at is not null then now() + (o.expires_at - o.created_at)
                  else now() + make_interval(days => ${defaultDays}::int) end
      from keys o
      where o.id = ${from} and o.revoked_at is null and (o.expires_at is null or o.expires_at > now())
      on conflict do nothing
      returning *`,
    also: [
      sql`
        update keys set expires_at = least(keys.expires_at, ${overlap})
        from changed where keys.id = changed.rotated_from`,
    ],
    events: [
      {
        type: eventTypes.keyRotated,
        source: { type: 'system', id: 'access' },
        payload: { keyId: id, rotatedFrom: from, overlapSeconds },
      },
    ],
    audit: {
      actor: input.actor,
      action: 'key.rotate',
      subjectKind: 'key',
      subjectId: id,
      detail: { rotatedFrom: from, overlapSeconds },
    },
    result: sql`jsonb_build_object('id', changed.id, 'expiresAt', changed.expires_at, 'oldExpiresAt',
      (select least(o.expires_at, ${overlap}) from keys o where o.id = changed.rotated_from))`,
  });
}
