import { z } from '@hono/zod-openapi';
import { type Outcome, type OutcomeDiff, outcomeKinds } from '../domain/shadow.ts';

/** Most events that one shadow run reads; more is a window to be made smaller. */
export const mostShadowEvents = 50_000;
/** Most items of one list of an answer; the counts tell of all. */
export const mostItems = 200;

const outcome = z.object({
  key: z.string(),
  kind: z.enum(outcomeKinds),
  title: z.string(),
  target: z.string().optional(),
  eventIds: z.array(z.string()),
  before: z.number(),
  after: z.number(),
});

/** What only one rule, the other, or both would do; the lists are cut, the counts are not. */
export function diffSchema<S extends z.ZodRawShape>(more: z.ZodObject<S>) {
  const items = z.array(outcome.extend(more.shape));
  const counts = z.object({
    ...{ before: z.number(), after: z.number(), onlyBefore: z.number(), onlyAfter: z.number() },
    both: z.number(),
  });
  return z.object({ onlyBefore: items, onlyAfter: items, both: items, counts });
}

export function cutDiff<T extends Outcome>({ counts, ...lists }: OutcomeDiff<T>): OutcomeDiff<T> {
  return {
    onlyBefore: lists.onlyBefore.slice(0, mostItems),
    onlyAfter: lists.onlyAfter.slice(0, mostItems),
    both: lists.both.slice(0, mostItems),
    counts,
  };
}
