import { and, eq, sql, type SQL } from 'drizzle-orm';
import type { JsonObject } from '../domain/json.ts';
import type { RewindTo, SubscriptionAction } from '../domain/subscription-request.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { decisionRequests } from './schema/index.ts';
import { subscriptionChanged } from './subscription-change.ts';

export type ProvenRequest = {
  key: string;
  action: SubscriptionAction;
  requestId: string;
  principalId: string;
  reason: string | null;
  rewindTo: RewindTo | null;
  opKey: string;
};

const said = { pause: 'paused', resume: 'resumed', rewind: 'rewound' } as const;

/** What an action asks of the subscription as it is: nobody pauses what is paused, nor moves what was removed. */
function isPossible({ key, action }: ProvenRequest): SQL {
  const asked = {
    pause: sql`s.paused_at is null`,
    resume: sql`s.paused_at is not null`,
    rewind: sql`true`,
  } as const;
  return sql`exists (select from subscriptions s where s.key = ${key} and s.enabled and ${asked[action]})`;
}

function effectsOf({ key, action, principalId, reason, rewindTo }: ProvenRequest): SQL[] {
  if (action === 'pause')
    return [
      sql`
        update subscriptions set paused_at = now(), paused_by = ${principalId}, pause_reason = ${reason}::text
        from changed where subscriptions.key = ${key} and subscriptions.paused_at is null`,
    ];
  if (action === 'resume')
    return [
      sql`
        update subscriptions set paused_at = null, paused_by = null, pause_reason = null
        from changed where subscriptions.key = ${key}`,
    ];
  const tx = sql`${rewindTo?.tx ?? '0'}::text::xid8`;
  const seq = sql`${rewindTo?.seq ?? '0'}::text::bigint`;
  return [
    // Never forward, which would leave events out. A new epoch takes the lane from whoever reads it now.
    sql`
      update subscription_lanes l
      set cursor_tx = case when (l.cursor_tx, l.cursor_seq) > (${tx}, ${seq}) then ${tx} else l.cursor_tx end,
          cursor_seq = case when (l.cursor_tx, l.cursor_seq) > (${tx}, ${seq}) then ${seq} else l.cursor_seq end,
          lease_epoch = l.lease_epoch + 1, leased_by = null, leased_until = null
      from changed where l.subscription = ${key}`,
    sql`
      insert into subscription_starts (subscription, tx, seq) select ${key}, ${tx}, ${seq} from changed
      on conflict (subscription) do update set tx = excluded.tx, seq = excluded.seq
      where (subscription_starts.tx, subscription_starts.seq) > (excluded.tx, excluded.seq)`,
  ];
}

/** Does what a request asks, once: the request is used up by the same statement. Unchanged where that cannot be. */
export async function applyRequest(
  db: Db,
  request: ProvenRequest,
): Promise<ChangeOutcome<{ requestId: string }>> {
  const { key, action, requestId, principalId, reason, rewindTo, opKey } = request;
  const to: JsonObject = rewindTo === null ? {} : { to: rewindTo };
  return change(db, {
    opKey,
    write: db
      .update(decisionRequests)
      .set({ state: 'recorded', outcome: { accepted: true }, settledAt: sql`now()` })
      .where(and(eq(decisionRequests.id, requestId), eq(decisionRequests.state, 'open'), isPossible(request)))
      .returning()
      .getSQL(),
    also: effectsOf(request),
    events: [
      {
        ...subscriptionChanged(key, { change: said[action], by: principalId, reason, ...to }),
        severity: action === 'resume' ? 'info' : 'warning',
      },
    ],
    audit: {
      actor: principalId,
      action: `subscription.${action}`,
      subjectKind: 'subscription',
      subjectId: key,
      detail: { requestId, reason, ...to },
    },
    result: sql`jsonb_build_object('requestId', changed.id)`,
  });
}
