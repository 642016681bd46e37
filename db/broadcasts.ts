import { sql } from 'drizzle-orm';
import type { ClusterState } from '../domain/bridge.ts';
import { categoryOf, defaultPriority, type Severity } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { backlogOf } from './bridge.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { derivedId } from './ids.ts';

export type BroadcastTarget = {
  name: string;
  state: ClusterState;
  backlog: number;
  backlogLimit: number;
  eventId: string;
};

export type Broadcast = {
  id: string;
  clusters: string[];
  /** Whether it goes to those that take it when others do not. */
  partial: boolean;
  type: string;
  severity: Severity;
  payload: JsonObject;
  correlationId: string | null;
  /** What this installation calls itself in the path of an event. */
  place: string;
  actor: string;
};

/**
 * Writes one event for each cluster, all in one statement with the check of what waits for them: either all clusters
 * take it, or, where that is enough, those that do. Unchanged when too few do; then nothing was written.
 */
export async function storeBroadcast(
  db: Db,
  broadcast: Broadcast,
): Promise<ChangeOutcome<{ targets: BroadcastTarget[] }>> {
  const { id, type, severity, payload, correlationId, place, actor, partial } = broadcast;
  const names = [...new Set(broadcast.clusters)].sort();
  const wanted = JSON.stringify(
    names.map((name) => ({ name, eventId: derivedId('evt', `broadcast:${id}|${name}`) })),
  );
  const metadata: JsonObject = { cluster: { broadcastId: id, by: actor } };
  const taking = sql`
    changed, jsonb_to_recordset(changed.targets) as t(name text, state text, "eventId" text)
    where t.state = 'open'`;
  return change(db, {
    opKey: `broadcast:${id}`,
    write: sql`
      select jsonb_agg(to_jsonb(judged) order by judged.name) as targets
      from (
        select found.name, found.backlog, found.backlog_limit as "backlogLimit", found."eventId",
               case when not found.enabled then 'off' when found.backlog >= found.backlog_limit then 'throttled'
                    else 'open' end as state
        from (
          select b.name, b.backlog_limit, b.enabled and s.enabled as enabled, w."eventId", (${backlogOf})::int as backlog
          from jsonb_to_recordset(${wanted}::text::jsonb) as w(name text, "eventId" text)
          join bridge_clusters b on b.name = w.name
          join subscriptions s on s.key = 'cluster-' || b.name
        ) as found
      ) as judged
      having count(*) = ${names.length}::int
         and count(*) filter (where judged.state = 'open')
             >= case when ${partial}::boolean then 1 else ${names.length}::int end`,
    also: [
      sql`insert into event_keys (id) select t."eventId" from ${taking}`,
      sql`
        insert into events (id, type, category, source_type, source_id, destination, severity, priority, payload,
                            metadata, correlation_id, occurred_at, path)
        select t."eventId", ${type}, ${categoryOf(type)}, 'api', 'bridge', 'cluster:' || t.name, ${severity},
               ${defaultPriority(severity)}, ${JSON.stringify(payload)}::text::jsonb,
               ${JSON.stringify(metadata)}::text::jsonb, ${correlationId ?? id}, now(),
               ${JSON.stringify([place])}::text::jsonb
        from ${taking} order by t.name`,
    ],
    audit: {
      actor,
      action: 'bridge.broadcast',
      subjectKind: 'broadcast',
      subjectId: id,
      detail: { type, severity, clusters: names, partial },
    },
    result: sql`jsonb_build_object('targets', changed.targets)`,
  });
}
