import type { Database } from '../db/client.ts';
import { releaseItems } from '../db/redrive-release.ts';
import { endRedrive, lookAtRedrive } from '../db/redrives.ts';
import type { RedriveCounts, RedriveEnd, RedriveProgress } from '../domain/redrive.ts';
import { DomainError, refuse } from '../domain/refusal.ts';

export type RedriveActivities = ReturnType<typeof createRedriveActivities>;

/** What a redrive does to the record; which dead letters it is about is never in its history. */
export function createRedriveActivities({ database }: { database: Database }) {
  const { db } = database;
  return {
    async lookAtRedrive(input: { redriveId: string; runId: string }): Promise<RedriveProgress> {
      const progress = await lookAtRedrive(db, { id: input.redriveId, runId: input.runId });
      if (progress === null)
        throw new DomainError(refuse('NOT_FOUND', `There is no redrive ${input.redriveId}.`));
      return progress;
    },

    async releaseItems(input: {
      redriveId: string;
      count: number;
      canary: boolean;
      handled: number;
    }): Promise<{ released: number }> {
      const { redriveId: id, ...release } = input;
      return { released: await releaseItems(db, { id, ...release }) };
    },

    async endRedrive(input: { redriveId: string; end: RedriveEnd; counts: RedriveCounts }): Promise<void> {
      const { redriveId: id, end, counts } = input;
      const actor = end.state === 'cancelled' ? 'temporal' : 'system';
      await endRedrive(db, { id, end, counts, actor, requestId: null });
    },
  };
}
