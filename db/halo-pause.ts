import { sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import { change } from './change.ts';
import type { Db } from './client.ts';

/** Records who paused or resumed HALO; the loop itself carries the state. */
export async function recordPause(
  db: Db,
  input: { paused: boolean; principalId: string; opKey: string },
): Promise<void> {
  const { paused, principalId } = input;
  await change(db, {
    opKey: input.opKey,
    write: sql`select 1 as one`,
    events: [
      {
        type: paused ? eventTypes.haloPaused : eventTypes.haloResumed,
        severity: paused ? 'warning' : 'info',
        source: { type: 'halo', id: 'halo' },
        payload: { by: principalId },
      },
    ],
    audit: {
      actor: principalId,
      action: paused ? 'halo.pause' : 'halo.resume',
      subjectKind: 'halo',
      subjectId: 'halo',
    },
  });
}
