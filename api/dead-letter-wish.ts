import { z } from '@hono/zod-openapi';
import { auditRefusal } from '../db/change.ts';
import {
  type HandledAs,
  type LeftOutLetter,
  type LetterSelection,
  type LetterWish,
  selectLetters,
} from '../db/dead-letter-select.ts';
import { digest, newId } from '../db/ids.ts';
import type { Principal } from '../domain/access.ts';
import { selectionText } from '../domain/bulk.ts';
import { redriveLimits } from '../domain/redrive.ts';
import { refuse } from '../domain/refusal.ts';
import type { ApiDeps, Asker } from './context.ts';
import { deadLetterFilterShape, toDeadLetterFilter } from './dead-letter-views.ts';
import { requireReach } from './object-scope.ts';
import { throwRefusal } from './problems.ts';
import { idParams, instant } from './schemas.ts';

/** Who may not read an event may not read or handle its dead letter either: its error can quote it. */
export function requireEventReader(principal: Principal): void {
  requireReach(principal, 'events:read');
}

const mostNamed = 1_000;
const ids = z
  .array(idParams.shape.id)
  .min(1)
  .max(mostNamed, `may name at most ${mostNamed} dead letters; a filter takes up to ${redriveLimits.most}`);

/** Which dead letters a redrive or a discard is about, and whether it is a look or the deed. */
export const wishShape = {
  ids: ids.optional(),
  filter: z.strictObject(deadLetterFilterShape).optional(),
  maximum: z.number().int().min(1).max(redriveLimits.most).default(redriveLimits.maximum),
  preview: z.boolean().default(false),
  selection: z.string().max(200).optional(),
};
export type WishInput = z.infer<z.ZodObject<typeof wishShape>>;

type Said = Pick<WishInput, 'ids' | 'filter' | 'preview' | 'selection'>;

export const isEither = (said: Said): boolean => (said.ids === undefined) !== (said.filter === undefined);
export const eitherMessage = { message: 'must have either ids or filter; filter: {} means everything open' };
export const isShown = (said: Said): boolean => said.preview !== (said.selection !== undefined);
export const shownMessage = {
  message: 'must have either preview: true, or the selection that a preview answered',
};

export const leftOutSchema = z.array(z.object({ id: z.string(), why: z.string() }));

export const wishPreviewSchema = z.object({
  preview: z.literal(true),
  count: z.number(),
  /** There are further ones that fit, over the maximum. */
  more: z.boolean(),
  selection: z.string(),
  heaps: z.array(z.object({ subscription: z.string(), cause: z.string(), count: z.number() })),
  items: z.array(
    z.object({
      id: z.string(),
      subscription: z.string(),
      eventType: z.string(),
      cause: z.string(),
      error: z.string(),
      createdAt: instant,
    }),
  ),
  leftOut: leftOutSchema,
});

const firstFew = 10;

/** What a preview shows: how many, of what kinds, and the first few of them. */
export function wishPreview(selection: LetterSelection): z.infer<typeof wishPreviewSchema> {
  const { items, leftOut, more } = selection;
  const heaps = new Map<string, { subscription: string; cause: string; count: number }>();
  for (const { subscription, cause } of items) {
    const key = JSON.stringify([subscription, cause]);
    heaps.set(key, { subscription, cause, count: (heaps.get(key)?.count ?? 0) + 1 });
  }
  return {
    ...{ preview: true, count: items.length, more, selection: tokenOf(selection), leftOut },
    heaps: [...heaps.values()].sort((a, b) => b.count - a.count),
    items: items.slice(0, firstFew).map((item) => ({ ...item, createdAt: item.createdAt.toISOString() })),
  };
}

/** Fingerprint, number, and age of the newest: what came after it was seen by nobody and is not part of it. */
function tokenOf({ items }: LetterSelection): string {
  const pairs = items.map(({ id, createdAt }) => ({ id, digest: String(createdAt.getTime()) }));
  return [digest(selectionText(pairs)), items.length, items.at(-1)?.createdAt.getTime() ?? 0].join('.');
}

const tokenShape = /^([0-9a-f]{64})\.(\d{1,5})\.(\d{1,15})$/;

function readToken(text: string): { count: number; until: Date } {
  const match = tokenShape.exec(text);
  if (match === null)
    throwRefusal(refuse('INVALID', 'selection: this is not what a preview answered; ask for one first.'));
  return { count: Number(match[2]), until: new Date(Number(match[3])) };
}

/** The dead letters of a wish: with the selection of a preview exactly those that it was about, or a refusal. */
export async function selectWished(
  deps: ApiDeps,
  asker: Asker,
  said: WishInput,
  as: HandledAs,
): Promise<LetterSelection> {
  const { db } = deps.database;
  const seen = said.selection === undefined ? null : readToken(said.selection);
  const which: LetterWish['which'] =
    said.ids === undefined
      ? { filter: toDeadLetterFilter(said.filter ?? {}) }
      : { ids: [...new Set(said.ids)] };
  // Whoever names each of them has said how many.
  const maximum = 'ids' in which ? which.ids.length : said.maximum;
  const wish: LetterWish = { which, maximum, until: seen?.until ?? null };
  const selection = await selectLetters(db, wish, as);
  if (seen === null || said.selection === tokenOf(selection)) return selection;
  const now = selection.items.length;
  const refusal = refuse(
    'STALE',
    `This is no longer what you looked at: it was ${seen.count}, now it is ${now}. Nothing was done; ask for a preview again.`,
    { seen: seen.count, now },
  );
  const audit = {
    ...{ actor: asker.principal.id, action: `dead-letter.${as}`, subjectKind: 'selection' },
    ...{ subjectId: said.selection ?? '', detail: { requestId: asker.requestId } },
  };
  await auditRefusal(db, `refused-api:${asker.requestId}:${newId('ref')}`, audit, refusal);
  return throwRefusal(refusal);
}

/** One that was named by itself: what keeps it from being handled is the answer. */
export async function requireOne(deps: ApiDeps, id: string, as: HandledAs): Promise<void> {
  const wish: LetterWish = { which: { ids: [id] }, maximum: 1, until: null };
  const { items, leftOut } = await selectLetters(deps.database.db, wish, as);
  if (items.length === 0) throwRefusal(refusalOf(leftOut, id));
}

/** The refusal of what nothing was left of. */
export function refusalOf([first]: LeftOutLetter[], id: string | null) {
  const why = first?.why ?? 'Somebody else was faster: none of them is left.';
  const isUnknown = id !== null && why === `There is no dead letter ${id}.`;
  return refuse(isUnknown ? 'NOT_FOUND' : 'CONFLICT', why);
}
