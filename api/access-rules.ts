import { auditRefusal } from '../db/change.ts';
import { newId } from '../db/ids.ts';
import { actorOf, getPrincipal, type KnownPrincipal, systemPrincipals } from '../db/principals.ts';
import { getRole } from '../db/roles.ts';
import { isBuiltIn, isPermitted, type Principal } from '../domain/access.ts';
import { refuse, type Refusal } from '../domain/refusal.ts';
import { permissionsOfRole, requireHeld } from '../domain/scope.ts';
import type { ApiContext, ApiDeps } from './context.ts';
import { throwRefusal } from './problems.ts';

/** The principal of a path or body; one that does not exist is a 404. */
export async function requirePrincipal(deps: ApiDeps, id: string): Promise<KnownPrincipal> {
  const known = await getPrincipal(deps.database.db, id);
  return known ?? throwRefusal(refuse('NOT_FOUND', `There is no principal ${id}.`));
}

/** HALO and the system are principals for the record only: they hold no key and no role of a person's choice. */
export function requireNoPart(id: string): void {
  if (Object.values(systemPrincipals).some((part) => part === id))
    throwRefusal(
      refuse('FORBIDDEN', `${id} is a part of this system; it holds no key and cannot be changed.`),
    );
}

/** Refuses, and writes the refusal into the audit: who tries to get more than they have is of interest later. */
async function refuseOnRecord(
  deps: ApiDeps,
  c: ApiContext,
  subject: { action: string; kind: string; id: string },
  refusal: Refusal,
): Promise<never> {
  const { action, kind, id } = subject;
  const requestId = c.get('requestId');
  await auditRefusal(
    deps.database.db,
    `refused-access:${requestId}:${newId('ref')}`,
    { actor: c.get('principal').id, action, subjectKind: kind, subjectId: id, detail: { requestId } },
    refusal,
  );
  throwRefusal(refusal);
}

/** The caller has to hold all of this itself to hand it on, or to act on somebody who has it. */
export async function requireToHold(
  deps: ApiDeps,
  c: ApiContext,
  wanted: readonly string[],
  subject: { action: string; kind: string; id: string },
  receiver: string | null = null,
): Promise<void> {
  const refusal = requireHeld(c.get('principal'), wanted, receiver);
  if (refusal !== null) await refuseOnRecord(deps, c, subject, refusal);
}

/** What a role permits; a name that is neither built in nor created is a mistake worth telling. */
export async function requireRole(deps: ApiDeps, role: string): Promise<readonly string[]> {
  const custom = isBuiltIn(role) ? null : await getRole(deps.database.db, role);
  if (custom === null && !isBuiltIn(role))
    throwRefusal(refuse('INVALID', `There is no role ${role}; see GET /v1/roles.`));
  return permissionsOfRole({ role, permissions: custom?.permissions ?? null });
}

/** Who takes over somebody's login or key can do what they can: the caller needs all of it. */
export async function requireAuthorityOver(
  deps: ApiDeps,
  c: ApiContext,
  target: KnownPrincipal,
  action: string,
): Promise<void> {
  const subject = { action, kind: 'principal', id: target.id };
  await requireToHold(deps, c, actorOf(target).permissions, subject, target.id);
}

/** Whether somebody sees what belongs to a principal: it is theirs, or they look after access. */
export function mayLookAfter(
  principal: Principal,
  ownerId: string,
  need: 'access:read' | 'access:write',
): boolean {
  return principal.id === ownerId || isPermitted(principal, need);
}
