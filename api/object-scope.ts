import { isPermitted, type Permission, type Principal, requirePermission } from '../domain/access.ts';
import { refuse } from '../domain/refusal.ts';
import { throwRefusal } from './problems.ts';

/**
 * The object of a path, once it is known. One that the caller may not see is answered as one that does not exist; one
 * that it sees and may not do this with is forbidden.
 */
export function requireObject<T extends object>(
  principal: Principal,
  found: T | null,
  asked: { what: string; id: string; target: (found: T) => string; read: Permission; need: Permission },
): T {
  const { what, id, read, need } = asked;
  const target = found === null ? '' : asked.target(found);
  const isSeen = isPermitted(principal, read, target) || isPermitted(principal, need, target);
  if (found === null || !isSeen) throwRefusal(refuse('NOT_FOUND', `There is no ${what} ${id}.`));
  const refusal = requirePermission(principal, need, target);
  if (refusal !== null) throwRefusal(refusal);
  return found;
}

/** A new object, or one that is about everything: the permission has to reach it. Without one it has to be had at all. */
export function requireReach(principal: Principal, permission: Permission, target?: string): void {
  const refusal = requirePermission(principal, permission, target);
  if (refusal !== null) throwRefusal(refusal);
}
