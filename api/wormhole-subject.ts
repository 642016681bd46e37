import type { z } from '@hono/zod-openapi';
import { findWormhole, type WormholeRow } from '../db/wormholes.ts';
import { isRefusal, refuse } from '../domain/refusal.ts';
import { compileRule, type Rule } from '../domain/wormhole.ts';
import { checkWormhole } from '../domain/wormhole-check.ts';
import type { ApiDeps } from './context.ts';
import { throwRefusal } from './problems.ts';
import { partsOf, type wormholeInput } from './routes/wormhole-input.ts';

export type WormholeDraft = z.infer<typeof wormholeInput>;
type Stored = { id: string; version: number; enabled: boolean };

/** A wormhole that is tried: `stored` is the one that a draft of its name would become the next version of. */
export type Tried = { rule: Rule; stored: Stored | null };

export async function requireWormhole(deps: ApiDeps, idOrName: string): Promise<WormholeRow> {
  return (
    (await findWormhole(deps.database.db, idOrName)) ??
    throwRefusal(refuse('NOT_FOUND', `There is no wormhole ${idOrName}.`))
  );
}

/** The wormhole of a request: a stored one by id or name, or a whole draft. */
export async function tryWormhole(
  deps: ApiDeps,
  { id, draft }: { id?: string | undefined; draft?: WormholeDraft | undefined },
): Promise<Tried> {
  const { db } = deps.database;
  if (draft !== undefined) {
    const stored = await findWormhole(db, id ?? draft.name);
    return { rule: draftRule(draft, stored), stored };
  }
  const row = await requireWormhole(deps, id ?? '');
  return { rule: requireRule(row), stored: row };
}

/** A draft as the next version of the stored one, so that what both do has the same keys. */
function draftRule(draft: WormholeDraft, stored: Stored | null): Rule {
  const identity = { id: stored?.id ?? 'draft', version: (stored?.version ?? 0) + 1 };
  return requireRule({ ...draft, ...identity, action: partsOf(draft.action).action });
}

function requireRule(wormhole: Rule['wormhole']): Rule {
  const refusal = checkWormhole(wormhole);
  if (refusal !== null) throwRefusal(refusal);
  const rule = compileRule(wormhole);
  return isRefusal(rule) ? throwRefusal(rule) : rule;
}
