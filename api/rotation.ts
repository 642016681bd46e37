import { z } from '@hono/zod-openapi';

/** A new secret in place of one, both of which count for a while. */
export const rotation = z.strictObject({
  overlapSeconds: z.number().int().min(0).max(604_800).optional(),
});

/** Long enough for the other side to be given the new secret during a working day. */
const defaultOverlapSeconds = 86_400;

export function overlapMsOf({ overlapSeconds = defaultOverlapSeconds }: z.infer<typeof rotation>): number {
  return overlapSeconds * 1000;
}
