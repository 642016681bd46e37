import { z } from '@hono/zod-openapi';
import { refuse } from '../domain/refusal.ts';
import { throwRefusal } from './problems.ts';

const dayMs = 86_400_000;
/** A longer stretch of the log is not counted over at once. */
const maxWindowMs = 31 * dayMs;

/** Query members of what looks at a stretch of time. */
export const windowQuery = {
  from: z.iso.datetime({ offset: true }).optional(),
  to: z.iso.datetime({ offset: true }).optional(),
};

/** The stretch that was asked for: up to `until`, and a day of it, unless it says otherwise. */
export function readWindow(
  from: string | undefined,
  to: string | undefined,
  until: Date,
): { from: Date; to: Date } {
  const end = to === undefined ? until : new Date(to);
  const begin = from === undefined ? new Date(end.getTime() - dayMs) : new Date(from);
  const lengthMs = end.getTime() - begin.getTime();
  if (lengthMs <= 0)
    throwRefusal(refuse('INVALID', `from ${begin.toISOString()} has to lie before to ${end.toISOString()}.`));
  if (lengthMs > maxWindowMs)
    throwRefusal(
      refuse('INVALID', 'from and to may lie at most 31 days apart; ask for one part after the other.', {
        maxWindowMs,
      }),
    );
  return { from: begin, to: end };
}
