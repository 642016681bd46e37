import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { Logger } from '@temporalio/worker';
import type { Database } from '../db/client.ts';
import { claimStops, claimUntold, findTurns, releaseTurn } from '../db/task-hold.ts';
import { messageNames } from '../domain/names.ts';
import { each, repeat, type Repeated } from './repeat.ts';
import type { Runs } from './runs.ts';

const everyMs = 1_000;
const batch = 500;
/** A run begins within this time after it was told; else its signal was lost. */
const tellAgainAfterMs = 5_000;
const shortestPauseMs = 50;

type Deps = { database: Database; runs: Pick<Runs, 'signal'>; log: Logger };

/**
 * The kill switch's arm: tells the runs of held attempts to stop, and lets parked tasks go after a release, at its rate.
 * A loop of its own, because the other repairs may wait for Temporal longer than a stop may take. Any number of workers
 * may do it at once.
 */
export function enforceKillSwitch({ database, runs, log }: Deps): Repeated {
  const { db } = database;

  function warn(error: unknown): void {
    log.warn('The kill switch will try again', {
      error: error instanceof Error ? error.message : String(error),
    });
  }

  async function tell(workflowId: string, name: string): Promise<void> {
    try {
      await runs.signal(workflowId, name);
    } catch (error) {
      // A run that has ended stops and begins nothing; its task is put right by the relay.
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  }

  async function letGo(): Promise<void> {
    for (const until = Date.now() + everyMs; Date.now() < until; await sleep(shortestPauseMs)) {
      const turns = await findTurns(db);
      if (turns.length === 0) return;
      await each(
        turns,
        async (turn) => {
          if (await releaseTurn(db, turn)) await tell(turn.workflowId, messageNames.release);
        },
        warn,
      );
    }
  }

  return repeat(
    everyMs,
    async () => {
      const stops = await claimStops(db, batch);
      await each(stops, ({ workflowId }) => tell(workflowId, messageNames.hold), warn);
      const untold = await claimUntold(db, tellAgainAfterMs, batch);
      await each(untold, ({ workflowId }) => tell(workflowId, messageNames.release), warn);
      await letGo();
    },
    warn,
  );
}
