import { z } from '@hono/zod-openapi';
import type { InboxFilter } from '../db/inbox.ts';
import { approvalKinds } from '../domain/approval.ts';
import { risks } from '../domain/task.ts';
import { idParams, queryText } from './schemas.ts';

const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const longestMs = 3650 * unitMs.d;

/** `90` and `90s` are seconds; `30m`, `2h` and `3d` are longer. */
const span = z
  .string()
  .regex(/^\d{1,9}[smhd]?$/, 'must be a length of time such as 90s, 30m, 2h or 3d')
  .refine((text) => msOf(text) <= longestMs, 'must be at most 3650d');

function msOf(text: string): number {
  const unit = unitMs[text.slice(-1) as keyof typeof unitMs] as number | undefined;
  return Number.parseInt(text, 10) * (unit ?? unitMs.s);
}

const scope = queryText(200).regex(/^[^*]*\*?$/, 'may have a * at its end only');

/** What an inbox can be filtered by, in a query and in the body of a bulk decision alike. */
export const inboxFilterShape = {
  kind: z.enum(approvalKinds).optional(),
  risk: z.enum(risks).optional(),
  target: scope.optional(),
  type: scope.optional(),
  requestedBy: idParams.shape.id.optional(),
  olderThan: span.optional(),
  expiresWithin: span.optional(),
  text: queryText(200).optional(),
};
export type InboxFilterInput = z.infer<z.ZodObject<typeof inboxFilterShape>>;

export function toInboxFilter(input: InboxFilterInput): InboxFilter {
  const { kind, risk, target, type, requestedBy, olderThan, expiresWithin, text } = input;
  return {
    ...{ kind, risk, target, type, requestedBy, text },
    olderThanMs: olderThan === undefined ? undefined : msOf(olderThan),
    expiresWithinMs: expiresWithin === undefined ? undefined : msOf(expiresWithin),
  };
}
