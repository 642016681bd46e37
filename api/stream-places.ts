import { refuse } from '../domain/refusal.ts';
import { ProblemError, throwRefusal } from './problems.ts';

/** How many streams may be open at once. */
export type StreamLimits = { perPrincipal: number; perProcess: number };

/** Counts the open streams of this process; each takes a place and gives it back once. */
export function createStreamPlaces({ perPrincipal, perProcess }: StreamLimits) {
  const byPrincipal = new Map<string, number>();
  let all = 0;

  return {
    /** Takes a place for a principal; the answer gives it back. */
    take(principal: { id: string; name: string }): () => void {
      const open = byPrincipal.get(principal.id) ?? 0;
      if (open >= perPrincipal)
        throwRefusal(
          refuse(
            'LIMIT',
            `${principal.name} has ${open} streams open here, and ${perPrincipal} are allowed; close one first.`,
            { limit: perPrincipal },
          ),
        );
      if (all >= perProcess)
        throw new ProblemError(
          'UNAVAILABLE',
          `All ${perProcess} streams of this process are taken; try again later, or follow GET /v1/events?after=.`,
          { details: { limit: perProcess } },
        );
      all += 1;
      byPrincipal.set(principal.id, open + 1);
      let isOpen = true;
      return () => {
        if (!isOpen) return;
        isOpen = false;
        all -= 1;
        const left = (byPrincipal.get(principal.id) ?? 1) - 1;
        if (left === 0) byPrincipal.delete(principal.id);
        else byPrincipal.set(principal.id, left);
      };
    },
  };
}
