import type { Database } from '../db/client.ts';
import { getDecisionRequest, refuseRequest } from '../db/decision-requests.ts';
import {
  claimReplay,
  countOpen,
  endReplay,
  queuePage,
  readPage,
  type ReplayEnd,
  withdrawReplay,
} from '../db/replay-run.ts';
import { getReplay } from '../db/replays.ts';
import { getSubscription } from '../db/subscriptions.ts';
import { storableText } from '../domain/json.ts';
import type { LoggedEvent } from '../domain/events.ts';
import { DomainError, isRefusal, refuse, type Refusal } from '../domain/refusal.ts';
import { routableOf } from '../domain/routable.ts';
import { reasonAgainst } from '../domain/routing.ts';
import { missingPermission } from './missing-permission.ts';

export type ReplayActivities = ReturnType<typeof createReplayActivities>;

export type QueuedPage = {
  /** `behind`: older transactions may still add to it. `over`: it has ended in the record. */
  end: 'more' | 'behind' | 'all' | 'over';
  /** How far it is, for a person: the position of the last event that was looked at. */
  at: string;
  queued: number;
};

/** The record's side of a replay; nothing of the events themselves is answered. */
export function createReplayActivities({ database }: { database: Database }) {
  const { db, log } = database;

  return {
    async claimReplay(input: { replayId: string; runId: string }) {
      const claimed = await claimReplay(db, input);
      return claimed ?? refuse('NOT_FOUND', `There is no replay ${input.replayId}.`);
    },

    /** Queues the next page. Repeated after a lost answer it queues the one behind it, so nothing is queued twice. */
    async queueReplayPage({ replayId }: { replayId: string }): Promise<QueuedPage> {
      const replay = await getReplay(db, replayId);
      if (replay === null) throw new DomainError(refuse('NOT_FOUND', `There is no replay ${replayId}.`));
      const at = `${replay.cursorTx}:${replay.cursorSeq}`;
      if (replay.state !== 'running') return { end: 'over', at, queued: replay.queued };
      if (replay.queuedAt !== null) return { end: 'all', at, queued: replay.queued };
      const target = await getSubscription(db, replay.subscription);
      if (target === null || !target.enabled)
        throw new DomainError(
          refuse(
            'CONFLICT',
            `Subscription ${replay.subscription} was switched off; enable it and replay again.`,
          ),
        );
      const { onlyMatching } = replay;
      const routable = routableOf(target);
      if (isRefusal(routable)) throw new DomainError(routable);
      const isMeant = (event: LoggedEvent) => !onlyMatching || reasonAgainst(routable, event) === null;
      const page = await readPage(log, replay, isMeant);
      if (page === null) return { end: 'behind', at, queued: replay.queued };
      // Where it went on elsewhere in the meantime, the next look says so.
      const isMine = await queuePage(log, replay, page);
      return {
        end: isMine && page.isLast ? 'all' : 'more',
        at: `${page.to.tx}:${page.to.seq}`,
        queued: replay.queued + page.events.length,
      };
    },

    countOpenDeliveries({ replayId }: { replayId: string }): Promise<number> {
      return countOpen(log, replayId);
    },

    endReplay(input: ReplayEnd) {
      return endReplay(db, input);
    },

    withdrawReplay({ replayId }: { replayId: string }): Promise<number> {
      return withdrawReplay(log, replayId);
    },

    /** Anyone can send the update: it counts when its request is on record, for this run, and its author may. */
    async acceptReplayCancel(input: {
      replayId: string;
      workflowId: string;
      requestId: string;
    }): Promise<{ actor: string; reason: string | null } | Refusal> {
      const { replayId, workflowId } = input;
      const requestId = storableText(input.requestId);
      const request = await getDecisionRequest(db, requestId);
      if (request === null || request.action !== 'cancel' || request.workflowId !== workflowId)
        return refuse('FORBIDDEN', `There is no recorded request ${requestId} to cancel replay ${replayId}.`);
      const missing = await missingPermission(db, request.principalId, 'bus:operate');
      if (missing === null) return { actor: request.principalId, reason: request.reason };
      await refuseRequest(db, request, missing);
      return missing;
    },
  };
}
