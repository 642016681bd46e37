import { type SQL, sql } from 'drizzle-orm';
import {
  clusterDestination,
  clusterState,
  type ClusterState,
  clusterSubscription,
} from '../domain/bridge.ts';
import { eventTypes, type NewEvent } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import type { EventMatch } from '../domain/subscription.ts';
import { change, type ChangeOutcome, fromNow } from './change.ts';
import type { Db } from './client.ts';

export type Cluster = {
  name: string;
  url: string;
  allowPrivateNetwork: boolean;
  backlogLimit: number;
  hookId: string | null;
  owner: string;
  state: ClusterState;
  /** Its subscription is paused: what is for it waits. */
  paused: boolean;
  secretVersion: number;
  previousSecretUntil: Date | null;
  /** Events that wait for it: not yet handed over, or to be tried again. */
  backlog: number;
  /** Events it took within the last minute. */
  outboundPerMinute: number;
  /** Events that its hook here took within the last minute; null without a hook. */
  inboundPerMinute: number | null;
  /** Events it has not taken so far: those tried again, and those given up. */
  failedAcks: number;
  lastAckAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
};

/** More than this are not counted within a minute. */
const maxFlow = 10_000;

/** How much waits for the cluster `b`, whose subscription is `s`; counted no further than its limit and one more. */
export const backlogOf = sql`
  (select count(*) from (
     select from events e join subscription_lanes l on l.subscription = s.key
     where e.destination = 'cluster:' || b.name and (e.tx, e.seq) > (l.cursor_tx, l.cursor_seq)
     limit b.backlog_limit + 1) as unread)
  + (select count(*) from (
       select from deliveries d where d.subscription = s.key and d.state in ('pending', 'processing')
       limit b.backlog_limit + 1) as queued)`;

function selectClusters(where: SQL, limit: number): SQL {
  return sql`
    select b.name, b.url, b.allow_private_network as "allowPrivateNetwork", b.backlog_limit as "backlogLimit",
           b.hook_id as "hookId", b.owner, b.enabled and s.enabled as enabled, s.paused_at is not null as paused,
           s.secret_version as "secretVersion", (${backlogOf})::int as backlog,
           (select count(*)::int from (
              select e.id, e.recorded_at, e.tx, e.seq from events e
              where e.destination = 'cluster:' || b.name order by e.tx desc, e.seq desc limit ${maxFlow}) as e
            join subscription_lanes l on l.subscription = s.key and (e.tx, e.seq) <= (l.cursor_tx, l.cursor_seq)
            where e.recorded_at > now() - interval '1 minute'
              and not exists (
                select from deliveries d where d.subscription = s.key and d.event_id = e.id and d.state <> 'completed'))
           + (select count(*)::int from deliveries d
              where d.subscription = s.key and d.state = 'completed' and d.ended_at > now() - interval '1 minute'
                and d.event_recorded_at <= now() - interval '1 minute') as "outboundPerMinute",
           case when h.id is null then null else (
             select count(*)::int from events e
             where e.source_type = 'api' and e.source_id = 'hook:' || h.name
               and e.recorded_at > now() - interval '1 minute') end as "inboundPerMinute",
           (select count(*)::int from deliveries d
            where d.subscription = s.key and d.state in ('pending', 'processing') and d.last_error is not null)
           + (select count(*)::int from dead_letters x where x.subscription = s.key and x.state = 'open') as "failedAcks",
           to_json(s.previous_secret_until) #>> '{}' as "previousSecretUntil",
           to_json(greatest(
             (select max(l.last_delivered_at) from subscription_lanes l where l.subscription = s.key),
             (select max(d.ended_at) from deliveries d where d.subscription = s.key and d.state = 'completed')
           )) #>> '{}' as "lastAckAt",
           to_json(b.created_at) #>> '{}' as "createdAt", to_json(b.updated_at) #>> '{}' as "updatedAt"
    from bridge_clusters b
    join subscriptions s on s.key = 'cluster-' || b.name
    left join hooks h on h.id = b.hook_id
    where ${where}
    order by b.name
    limit ${limit}`;
}

type Instants = 'previousSecretUntil' | 'lastAckAt' | 'createdAt' | 'updatedAt';
type Selected = Omit<Cluster, 'state' | Instants> & { enabled: boolean } & Record<Instants, string | null>;

const dateOf = (text: string | null): Date | null => (text === null ? null : new Date(text));

function clusterOf(row: Selected): Cluster {
  const { enabled, ...rest } = row;
  return {
    ...rest,
    state: clusterState({ enabled, backlog: row.backlog, backlogLimit: row.backlogLimit }),
    previousSecretUntil: dateOf(row.previousSecretUntil),
    lastAckAt: dateOf(row.lastAckAt),
    createdAt: new Date(row.createdAt ?? 0),
    updatedAt: new Date(row.updatedAt ?? 0),
  };
}

export async function listBridgeClusters(db: Db, after: string, limit: number): Promise<Cluster[]> {
  const rows = await db.execute(selectClusters(sql`b.name > ${after}`, limit));
  return (rows as unknown as Selected[]).map(clusterOf);
}

/** Those of the names that there are. */
export async function findBridgeClusters(db: Db, names: string[]): Promise<Cluster[]> {
  const named = sql`b.name in (select jsonb_array_elements_text(${JSON.stringify(names)}::text::jsonb))`;
  return ((await db.execute(selectClusters(named, names.length))) as unknown as Selected[]).map(clusterOf);
}

export async function getBridgeCluster(db: Db, name: string): Promise<Cluster | null> {
  const [row] = await db.execute(selectClusters(sql`b.name = ${name}`, 1));
  return row === undefined ? null : clusterOf(row as unknown as Selected);
}

type By = { name: string; actor: string; opKey: string };

const deliveryTimeoutMs = 10_000;

/**
 * Stores a cluster and the subscription that carries its events there, in one statement. One that was removed comes back
 * with a new secret and with what waited for it. Unchanged when the name, or the key of the subscription, is taken.
 */
export async function createCluster(
  db: Db,
  input: By & {
    url: string;
    /** The same address as the webhook of a subscription wants it. */
    sealedUrl: string;
    allowPrivateNetwork: boolean;
    backlogLimit: number;
    hookId: string | null;
  },
): Promise<ChangeOutcome<{ name: string; secretVersion: number }>> {
  const { name, actor, opKey, sealedUrl, ...cluster } = input;
  const { url, allowPrivateNetwork, backlogLimit, hookId } = cluster;
  const key = clusterSubscription(name);
  const match: EventMatch = {
    ...{ types: [], minSeverity: 'info', excludeSourceTypes: [] },
    destination: clusterDestination(name),
  };
  const { origin } = new URL(url);
  const config = JSON.stringify({ origin, sealedUrl, allowPrivateNetwork, timeoutMs: deliveryTimeoutMs });
  return change(db, {
    opKey,
    write: sql`
      insert into bridge_clusters (name, url, allow_private_network, backlog_limit, hook_id, owner)
      select ${name}, ${url}, ${allowPrivateNetwork}::boolean, ${backlogLimit}::int, ${hookId}, ${actor}
      where not exists (
        select from subscriptions s
        where s.key = ${key}
          and (s.enabled or s.handler <> 'webhook' or s.match ->> 'destination' is distinct from ${match.destination}))
      on conflict do nothing
      returning *, coalesce((select secret_version from subscriptions where key = ${key}), 0) + 1 as next_version`,
    also: [
      sql`
        insert into subscriptions (key, description, handler, config, match, strategy, secret_version, owner)
        select ${key}, ${`Carries events to the cluster ${name}`}, 'webhook', ${config}::text::jsonb,
               ${JSON.stringify(match)}::text::jsonb, 'direct', changed.next_version, ${actor}
        from changed
        on conflict (key) do update
        set config = excluded.config, secret_version = excluded.secret_version, previous_secret_until = null,
            enabled = true, paused_at = null, paused_by = null, pause_reason = null, owner = excluded.owner,
            version = subscriptions.version + 1, updated_at = now()`,
      sql`
        insert into subscription_lanes (subscription, lane, cursor_tx, cursor_seq)
        select ${key}, 'all', pg_snapshot_xmin(pg_current_snapshot()), 0 from changed
        on conflict do nothing`,
      sql`
        insert into subscription_starts (subscription, tx, seq)
        select ${key}, pg_snapshot_xmin(pg_current_snapshot()), 0 from changed
        on conflict do nothing`,
    ],
    ...recordOf(input, 'created', cluster),
    result: sql`jsonb_build_object('name', changed.name, 'secretVersion', changed.next_version)`,
  });
}

/** Switches a cluster on or off, and its subscription with it; unchanged when it already is. */
export async function setClusterEnabled(
  db: Db,
  input: By & { enabled: boolean },
): Promise<ChangeOutcome<JsonObject>> {
  const { name, enabled } = input;
  return change(db, {
    opKey: input.opKey,
    write: sql`
      update bridge_clusters set enabled = ${enabled}::boolean, updated_at = now()
      where name = ${name} and enabled <> ${enabled}::boolean returning *`,
    also: [switchSubscription(enabled)],
    ...recordOf(input, enabled ? 'enabled' : 'disabled', {}),
  });
}

/** Makes the next signing secret; the one before it signs too until the overlap is over. */
export async function rotateClusterSecret(
  db: Db,
  input: By & { fromVersion: number; overlapMs: number },
): Promise<ChangeOutcome<JsonObject>> {
  const { name, fromVersion, overlapMs } = input;
  return change(db, {
    opKey: input.opKey,
    write: sql`
      update bridge_clusters b set updated_at = now() from subscriptions s
      where b.name = ${name} and s.key = ${clusterSubscription(name)} and s.secret_version = ${fromVersion}::int
      returning b.*`,
    also: [
      sql`
        update subscriptions s
        set secret_version = ${fromVersion + 1}::int, previous_secret_until = ${fromNow(overlapMs)},
            version = s.version + 1, updated_at = now()
        from changed
        where s.key = 'cluster-' || changed.name and s.secret_version = ${fromVersion}::int`,
    ],
    ...recordOf(input, 'secret-rotated', { version: fromVersion + 1, overlapMs }),
  });
}

/** Removes a cluster and switches its subscription off; what waits for it stays, for when it comes back. */
export async function removeCluster(db: Db, input: By): Promise<ChangeOutcome<JsonObject>> {
  return change(db, {
    opKey: input.opKey,
    write: sql`delete from bridge_clusters where name = ${input.name} returning *`,
    also: [switchSubscription(false)],
    ...recordOf(input, 'removed', {}),
  });
}

function switchSubscription(enabled: boolean): SQL {
  return sql`
    update subscriptions s set enabled = ${enabled}::boolean, version = s.version + 1, updated_at = now()
    from changed where s.key = 'cluster-' || changed.name`;
}

function recordOf(
  { name, actor }: By,
  what: string,
  detail: JsonObject,
): {
  events: NewEvent[];
  audit: { actor: string; action: string; subjectKind: string; subjectId: string; detail: JsonObject };
  result: SQL;
} {
  return {
    events: [
      {
        type: eventTypes.clusterChanged,
        source: { type: 'system', id: 'clusters' },
        payload: { cluster: name, change: what, by: actor },
      },
    ],
    audit: {
      actor,
      action: `bridge-cluster.${what}`,
      subjectKind: 'bridge-cluster',
      subjectId: name,
      detail,
    },
    result: sql`jsonb_build_object('name', changed.name)`,
  };
}
