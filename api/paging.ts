import { z } from '@hono/zod-openapi';
import { refuse } from '../domain/refusal.ts';
import { throwRefusal } from './problems.ts';

/** Query members of every list. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(400).optional(),
};

/** One page: the items and the cursor that continues behind them, null at the end. */
export function pageOf<S extends z.ZodType>(item: S) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() });
}

export function encodeCursor(place: Record<string, string | number>): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/** Reads a cursor of this list; one that was made up or belongs to another list is refused. */
export function decodeCursor<T>(text: string | undefined, shape: z.ZodType<T>): T | null {
  if (text === undefined) return null;
  const read = shape.safeParse(parse(text));
  return read.success
    ? read.data
    : throwRefusal(refuse('INVALID', 'This cursor is not one of this list; start without it.'));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    return null;
  }
}

const id = z.string().regex(/^[A-Za-z0-9_.:-]{1,100}$/);

/** Lists ordered by id. */
export const idPlace = z.strictObject({ id });

/** Lists ordered by a time and then by id. */
export const timePlace = z
  .strictObject({ at: z.number().int().min(0).max(8.64e15), id })
  .transform((place) => ({ at: new Date(place.at), id: place.id }));

/** Lists ordered by a figure as it was at a moment, and then by id. */
export const orderedPlace = z.strictObject({
  atMs: z.number().int().min(0).max(8.64e15),
  rank: z.number().min(-1e17).max(1e17),
  id,
});

const maxXid = 2n ** 64n - 1n;
const maxSeq = 2n ** 63n - 1n;
const count = (max: bigint) => z.string().refine((text) => /^\d{1,20}$/.test(text) && BigInt(text) <= max);

/** Places in the event log. */
export const logPlace = z.strictObject({ tx: count(maxXid), seq: count(maxSeq) });

/** Cuts the one row too many that was read to learn whether there is a next page. */
export function cutPage<T>(
  rows: T[],
  limit: number,
  placeOf: (row: T) => Record<string, string | number>,
): { rows: T[]; nextCursor: string | null } {
  const kept = rows.slice(0, limit);
  const last = kept.at(-1);
  return {
    rows: kept,
    nextCursor: rows.length > limit && last !== undefined ? encodeCursor(placeOf(last)) : null,
  };
}
