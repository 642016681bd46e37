import { type Permission, requirePermission } from '../domain/access.ts';
import { identify } from './auth.ts';
import type { ApiContext, ApiDeps } from './context.ts';
import { throwRefusal } from './problems.ts';

const everyMs = 60_000;

/**
 * A stream outlives the check at its door: before each piece whoever reads it is asked about again, once a minute, and
 * a reader who may no longer read gets no more of it (TRUST 4.38).
 */
export function createRecheck(deps: ApiDeps, c: ApiContext, permission: Permission): () => Promise<void> {
  const header = c.req.header('authorization');
  let checkedAt = deps.now();
  return async () => {
    if (deps.now() - checkedAt < everyMs) return;
    const { principal } = await identify(deps, header);
    const refusal = requirePermission(principal, permission);
    if (refusal !== null) throwRefusal(refusal);
    checkedAt = deps.now();
  };
}
