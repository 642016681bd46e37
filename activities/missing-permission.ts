import type { Db } from '../db/client.ts';
import { actorOf, getPrincipal } from '../db/principals.ts';
import { type Permission, requirePermission } from '../domain/access.ts';
import { refuse, type Refusal } from '../domain/refusal.ts';

/** Why the author of a recorded request may not have it carried out now; null when they may. */
export async function missingPermission(
  db: Db,
  principalId: string,
  permission: Permission,
): Promise<Refusal | null> {
  const principal = await getPrincipal(db, principalId);
  return principal?.status === 'active'
    ? requirePermission(actorOf(principal), permission)
    : refuse('FORBIDDEN', `${principal?.name ?? principalId} is no principal that is active.`);
}
