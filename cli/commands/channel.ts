import { randomUUID } from 'node:crypto';
import type { CommandDef } from 'citty';
import { channelKinds } from '../../domain/channel.ts';
import { severities } from '../../domain/events.ts';
import { command } from '../command.ts';
import { hintMore, marked, pageArgs } from '../format.ts';
import { pathId } from '../ids.ts';
import { readList, readNumber, readObject } from '../input.ts';
import { facts, type Output, table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import { switchCommands } from '../switch-commands.ts';
import type { Channel, Notification, Page } from '../views.ts';
import { describeNotification } from './notification.ts';

const id = { type: 'positional', required: true, description: 'Channel' } as const;

const placeOf = ({ config }: Channel): string => {
  const place = config.origin ?? config.host;
  return typeof place === 'string' ? place : '';
};

function describeChannel(out: Output, channel: Channel): string[] {
  return facts(out, [
    ['channel', channel.id],
    ['name', channel.name],
    ['kind', channel.kind],
    ['to', placeOf(channel)],
    ['topics', channel.topics.join(', ')],
    ['from', channel.minSeverity],
    ['cooldown', `${channel.cooldownMs / 1000}s`],
    ['state', channel.enabled ? channel.health : 'disabled'],
  ]);
}

const listCommand = command({
  name: 'list',
  about: 'Channels, and how their newest receipt was',
  args: pageArgs,
  run: async (session, { limit, cursor }) => {
    const reply = await session.api.get('/v1/channels', { limit, cursor });
    const page = bodyOf<Page<Channel>>(reply);
    const heads = ['ID', 'NAME', 'KIND', 'STATE', 'TO', 'TOPICS'];
    const rows = page.items.map((channel) => [
      ...[channel.id, channel.name, channel.kind, marked(channel.enabled ? channel.health : 'disabled')],
      ...[placeOf(channel), channel.topics.join(', ')],
    ]);
    show(session, reply, () =>
      rows.length === 0 ? ['No channels: nobody is told anything.'] : table(session.out, heads, rows),
    );
    hintMore(session, page);
    return 'ok';
  },
});

const createCommand = command({
  name: 'create',
  about: 'Store a channel; its address and password are read from a file or stdin, and sealed',
  args: {
    name: { type: 'positional', required: true, description: 'Name of the channel' },
    kind: { type: 'enum', options: [...channelKinds], required: true, description: 'Its kind' },
    config: {
      type: 'string',
      required: true,
      valueHint: '@FILE|-|JSON',
      description: 'webhook, discord: url. smtp: host, port, secure, from, to, user, password',
    },
    topics: {
      type: 'string',
      valueHint: 'A,B',
      description: 'Event types, a trailing * allowed; what needs a person unless given',
    },
    'min-severity': {
      type: 'enum',
      options: [...severities],
      description: 'info unless given',
    },
    'cooldown-ms': {
      type: 'string',
      valueHint: 'N',
      description: 'One of a kind in this time; 60000 unless given',
    },
  },
  run: async (session, args) => {
    const reply = await session.api.post('/v1/channels', {
      name: args.name,
      kind: args.kind,
      config: await readObject('config', args.config),
      topics: args.topics === undefined ? undefined : readList(args.topics),
      minSeverity: args['min-severity'],
      cooldownMs: readNumber('cooldown-ms', args['cooldown-ms']),
    });
    const made = bodyOf<{ channel: Channel; signingSecret: string | null }>(reply);
    show(session, reply, () => [
      ...describeChannel(session.out, made.channel),
      ...facts(session.out, [['signing secret', made.signingSecret]]),
    ]);
    if (made.signingSecret !== null)
      session.out.hint('Give the signing secret to the receiver now: it is shown once and stored nowhere.');
    session.out.hint(`Try it: dreamnet channel test ${made.channel.id}`);
    return 'ok';
  },
});

const testCommand = command({
  name: 'test',
  about: 'Send a message through a channel now and wait some seconds for its receipt',
  args: { id },
  run: async (session, args) => {
    const path = `/v1/channels/${pathId(args.id)}/test`;
    const reply = await session.api.post(path, {}, { 'idempotency-key': randomUUID() });
    const sent = bodyOf<Notification>(reply);
    show(session, reply, () => describeNotification(session.out, sent));
    if (sent.state === 'sent') return 'ok';
    if (sent.state === 'failed') return 'unavailable';
    session.out.hint('Still on its way: it is tried again for an hour. The link shows the tries.');
    return 'accepted';
  },
});

const rotateCommand = command({
  name: 'rotate-secret',
  about: 'Make a new signing secret; the old one signs too until the overlap is over',
  args: { id, overlap: { type: 'string', valueHint: 'SECONDS', description: '86400 unless given' } },
  run: async (session, args) => {
    const path = `/v1/channels/${pathId(args.id)}/rotate-secret`;
    const reply = await session.api.post(path, { overlapSeconds: readNumber('overlap', args.overlap) });
    const { signingSecret } = bodyOf<{ signingSecret: string }>(reply);
    show(session, reply, () => facts(session.out, [['signing secret', signingSecret]]));
    session.out.hint('Give it to the receiver now: it is shown once and stored nowhere.');
    return 'ok';
  },
});

export const channelCommands: Record<string, CommandDef> = {
  list: listCommand,
  create: createCommand,
  test: testCommand,
  'rotate-secret': rotateCommand,
  ...switchCommands({
    ...{ path: '/v1/channels', word: { id } },
    about: { enable: 'Switch a channel on', disable: 'Switch it off: nothing more is sent' },
    lines: (session, reply) => describeChannel(session.out, bodyOf<Channel>(reply)),
  }),
};
