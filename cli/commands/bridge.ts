import { randomUUID } from 'node:crypto';
import type { CommandDef } from 'citty';
import { severities } from '../../domain/events.ts';
import { command } from '../command.ts';
import { hintMore, instant, marked, pageArgs } from '../format.ts';
import { pathId } from '../ids.ts';
import { readList, readNumber, readObject } from '../input.ts';
import { facts, type Output, table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import { switchCommands } from '../switch-commands.ts';
import type { BridgeCluster, BroadcastTarget } from '../bus-views.ts';
import type { Page } from '../views.ts';

const name = { type: 'positional', required: true, description: 'Cluster' } as const;

const stateOf = ({ state, paused }: BridgeCluster): string => (paused && state !== 'off' ? 'paused' : state);

function describeCluster(out: Output, cluster: BridgeCluster): string[] {
  return facts(out, [
    ['cluster', cluster.name],
    ['to', cluster.url],
    ['state', stateOf(cluster)],
    ['waiting', `${cluster.backlog} of ${cluster.backlogLimit}`],
    ['out a minute', String(cluster.outboundPerMinute)],
    ['in a minute', cluster.inboundPerMinute === null ? 'unknown' : String(cluster.inboundPerMinute)],
    ['not taken', String(cluster.failedAcks)],
    ['last taken', cluster.lastAckAt === null ? 'never' : instant(cluster.lastAckAt)],
  ]);
}

const listCommand = command({
  name: 'list',
  about: 'Clusters and how they breathe: events a minute out and in, what waits, what failed',
  args: pageArgs,
  run: async (session, { limit, cursor }) => {
    const reply = await session.api.get('/v1/bridge/clusters', { limit, cursor });
    const page = bodyOf<Page<BridgeCluster>>(reply);
    const heads = ['NAME', 'STATE', 'OUT/MIN', 'IN/MIN', 'WAITING', 'FAILED', 'LAST TAKEN', 'TO'];
    const rows = page.items.map((cluster) => [
      ...[cluster.name, marked(stateOf(cluster)), String(cluster.outboundPerMinute)],
      cluster.inboundPerMinute === null ? '-' : String(cluster.inboundPerMinute),
      ...[`${cluster.backlog}/${cluster.backlogLimit}`, String(cluster.failedAcks)],
      ...[cluster.lastAckAt === null ? 'never' : instant(cluster.lastAckAt), cluster.url],
    ]);
    show(session, reply, () => (rows.length === 0 ? ['No clusters.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});

const addCommand = command({
  name: 'add',
  about: 'Name another DreamNet that events are sent to',
  args: {
    name,
    to: { type: 'string', required: true, valueHint: 'URL', description: 'Address of a hook there' },
    hook: { type: 'string', valueHint: 'ID', description: 'The hook here that the other side posts to' },
    'backlog-limit': {
      type: 'string',
      valueHint: 'N',
      description: 'Waiting events from which on it takes no more; 10000 unless given',
    },
    'allow-private': { type: 'boolean', description: 'Its address may be a private one' },
  },
  run: async (session, args) => {
    const reply = await session.api.post('/v1/bridge/clusters', {
      name: args.name,
      url: args.to,
      hookId: args.hook,
      backlogLimit: readNumber('backlog-limit', args['backlog-limit']),
      allowPrivateNetwork: args['allow-private'],
    });
    const made = bodyOf<{ cluster: BridgeCluster; signingSecret: string }>(reply);
    show(session, reply, () => [
      ...describeCluster(session.out, made.cluster),
      ...facts(session.out, [['signing secret', made.signingSecret]]),
    ]);
    session.out.hint('The secret is shown once. There: dreamnet hook rotate ID --overlap 0 --secret -');
    return 'ok';
  },
});

const removeCommand = command({
  name: 'remove',
  about: 'Remove a cluster; what waits for it goes out when it is added again',
  args: { name },
  run: async (session, args) => {
    const reply = await session.api.delete(`/v1/bridge/clusters/${pathId(args.name)}`);
    show(session, reply, () => [`${args.name} is gone.`]);
    return 'ok';
  },
});

const broadcastCommand = command({
  name: 'broadcast',
  about: 'Send one event to several clusters',
  args: {
    type: { type: 'positional', required: true, description: 'Type of the event' },
    to: { type: 'string', required: true, valueHint: 'A,B|all', description: 'The clusters, or all of them' },
    payload: { type: 'string', valueHint: '@FILE|-|JSON', description: 'What it says; nothing unless given' },
    severity: {
      type: 'enum',
      options: [...severities],
      description: 'info unless given',
    },
    correlation: { type: 'string', valueHint: 'ID', description: 'The thread it belongs to' },
    partial: { type: 'boolean', description: 'Send it to those that take it when others do not' },
  },
  run: async (session, args) => {
    const body = {
      clusters: args.to === 'all' ? 'all' : readList(args.to),
      type: args.type,
      payload: args.payload === undefined ? undefined : await readObject('payload', args.payload),
      severity: args.severity,
      correlationId: args.correlation,
      partial: args.partial,
    };
    const reply = await session.api.post('/v1/broadcasts', body, { 'idempotency-key': randomUUID() });
    const { clusters } = bodyOf<{ id: string; clusters: BroadcastTarget[] }>(reply);
    const rows = clusters.map(({ cluster, state, backlog, eventId }) => [
      ...[cluster, marked(state), String(backlog), eventId ?? 'not sent'],
    ]);
    show(session, reply, () => table(session.out, ['CLUSTER', 'STATE', 'WAITING', 'EVENT'], rows));
    return 'ok';
  },
});

export const bridgeCommands: Record<string, CommandDef> = {
  list: listCommand,
  add: addCommand,
  remove: removeCommand,
  ...switchCommands({
    ...{ path: '/v1/bridge/clusters', word: { name } },
    about: { enable: 'Switch a cluster on', disable: 'Switch it off: nothing more goes there' },
    lines: (session, reply) => describeCluster(session.out, bodyOf<BridgeCluster>(reply)),
  }),
  broadcast: broadcastCommand,
};
