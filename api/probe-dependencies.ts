import { z } from '@hono/zod-openapi';
import type { Db } from '../db/client.ts';
import { findProbes, probeDependencies } from '../db/probe-dependencies.ts';
import type { Principal } from '../domain/access.ts';
import { circleOf, mostDependencies } from '../domain/probe-dependencies.ts';
import { refuse } from '../domain/refusal.ts';
import { scopesOf } from '../domain/scope.ts';
import { throwRefusal } from './problems.ts';
import { line } from './schemas.ts';

export const dependenciesInput = z
  .array(line(120))
  .max(mostDependencies, `names more than ${mostDependencies} probes`);

/** The ids of probes named by id or name; one that the caller cannot see is as unknown as one that does not exist. */
export async function resolveProbes(
  db: Db,
  principal: Principal,
  named: readonly string[],
): Promise<string[]> {
  const found = await findProbes(db, named, scopesOf(principal, 'probes:read'));
  const ids = named.map((each) => {
    // An id is unique and so is a name, but one's name can be the id of another.
    const probe = found.find(({ id }) => id === each) ?? found.find(({ name }) => name === each);
    if (probe === undefined)
      throwRefusal(
        refuse(
          'INVALID',
          `dependsOn: there is no probe ${each}. Name probes by id or name; see GET /v1/probes.`,
        ),
      );
    return probe.id;
  });
  return [...new Set(ids)];
}

/** Refuses what would make endpoints depend on each other in a circle, and says which way it closes. */
export async function requireNoCircle(db: Db, probeId: string, dependsOn: readonly string[]): Promise<void> {
  const circle = circleOf(probeId, dependsOn, await probeDependencies(db));
  if (circle !== null)
    throwRefusal(
      refuse(
        'CONFLICT',
        `dependsOn: ${circle.join(' -> ')} would be a circle. Take one of these dependencies away first.`,
      ),
    );
}
