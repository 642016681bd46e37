import { randomUUID } from 'node:crypto';
import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { duration, hintMore, linkLine, marked, pageArgs } from '../format.ts';
import { longMs } from '../http.ts';
import { pathId } from '../ids.ts';
import { readNumber } from '../input.ts';
import { facts, table } from '../output.ts';
import { bodyOf, type Session, show } from '../session.ts';
import { backlogOf, describeSubscription, targetOf } from '../subscription.ts';
import type { Subscription, SubscriptionAnswer, SubscriptionTest } from '../bus-views.ts';
import type { Page } from '../views.ts';
import { changeCommand, createCommand } from './subscription-change.ts';

const key = { type: 'positional', required: true, description: 'Subscription' } as const;

const listCommand = command({
  name: 'list',
  about: 'Subscriptions, and how far behind they are',
  args: pageArgs,
  run: async (session, { limit, cursor }) => {
    const reply = await session.api.get('/v1/subscriptions', { limit, cursor });
    const page = bodyOf<Page<Subscription>>(reply);
    const heads = ['KEY', 'STATE', 'HANDLER', 'TO', 'BACKLOG', 'LAG', 'DELIVERED', 'PENDING', 'DEAD'];
    const rows = page.items.map((one) => [
      ...[one.key, marked(one.state), one.handler.kind, targetOf(one), backlogOf(one)],
      ...[duration(one.lagSeconds), String(one.delivered), String(one.pendingDeliveries)],
      String(one.openDeadLetters),
    ]);
    show(session, reply, () => table(session.out, heads, rows));
    hintMore(session, page);
    return 'ok';
  },
});

const showCommand = command({
  name: 'show',
  about: 'One subscription: what it matches, where it stands',
  args: { key },
  run: async (session, args) => {
    const reply = await session.api.get(`/v1/subscriptions/${pathId(args.key)}`);
    show(session, reply, () => describeSubscription(session.out, bodyOf<Subscription>(reply)));
    return 'ok';
  },
});

const removeCommand = command({
  name: 'remove',
  about: 'Switch a subscription off for good; its key and its history stay',
  args: { key },
  run: async (session, args) => {
    const reply = await session.api.delete(`/v1/subscriptions/${pathId(args.key)}`);
    show(session, reply, () => describeSubscription(session.out, bodyOf<Subscription>(reply)));
    return 'ok';
  },
});

const rotateCommand = command({
  name: 'rotate',
  about: 'Make a new signing secret; the old one signs too until the overlap is over',
  args: { key, overlap: { type: 'string', valueHint: 'SECONDS', description: '86400 unless given' } },
  run: async (session, args) => {
    const path = `/v1/subscriptions/${pathId(args.key)}/secret`;
    const reply = await session.api.post(path, { overlapSeconds: readNumber('overlap', args.overlap) });
    const { signingSecret } = bodyOf<{ signingSecret: string }>(reply);
    show(session, reply, () => facts(session.out, [['signing secret', signingSecret]]));
    session.out.hint('Give it to the receiver now: it is shown once and stored nowhere.');
    return 'ok';
  },
});

const testCommand = command({
  name: 'test',
  about: 'Send a test event to the webhook now and wait some seconds for its receipt',
  args: { key },
  run: async (session, args) => {
    const path = `/v1/subscriptions/${pathId(args.key)}/test`;
    const reply = await session.api.post(path, {}, { 'idempotency-key': randomUUID() }, longMs);
    const sent = bodyOf<SubscriptionTest>(reply);
    show(session, reply, () => [
      ...facts(session.out, [
        ['event', sent.eventId],
        ['state', sent.state],
        ['attempts', sent.attempts],
        ['error', sent.error],
      ]),
      linkLine(session.out, sent.temporal),
    ]);
    if (sent.state === 'completed') return 'ok';
    if (sent.state === 'failed') return 'unavailable';
    session.out.hint('Not delivered yet: it is tried again as every event.');
    return sent.attempts > 0 ? 'unavailable' : 'accepted';
  },
});

const reason = { type: 'string', valueHint: 'TEXT', description: 'Kept in the audit' } as const;

async function act(session: Session, name: string, of: string, body: object) {
  const path = `/v1/subscriptions/${pathId(of)}/${name}`;
  const reply = await session.api.post(path, body, { 'idempotency-key': randomUUID() });
  const said = bodyOf<SubscriptionAnswer>(reply);
  show(session, reply, () =>
    said.status === 'done'
      ? describeSubscription(session.out, said.subscription)
      : [`The request to ${name} is stored and on its way.`, linkLine(session.out, said.temporal)],
  );
  if (said.note !== null) session.out.hint(said.note);
  return said.status === 'done' ? 'ok' : 'accepted';
}

function switchCommand(name: 'pause' | 'resume', about: string): CommandDef {
  return command({
    name,
    about,
    args: { key, reason },
    run: (session, args) => act(session, name, args.key, { reason: args.reason }),
  });
}

const rewindCommand = command({
  name: 'rewind',
  about: 'Hand events over again that were handled before; handlers know an event they have seen',
  args: {
    key,
    to: {
      type: 'string',
      required: true,
      valueHint: 'start|CURSOR|TIME|EVENT',
      description: 'What lies behind it comes again; of an event also itself',
    },
    reason,
  },
  run: (session, args) => act(session, 'rewind', args.key, { to: args.to, reason: args.reason }),
});

export const subscriptionCommands: Record<string, CommandDef> = {
  list: listCommand,
  show: showCommand,
  create: createCommand,
  change: changeCommand,
  remove: removeCommand,
  pause: switchCommand('pause', 'Hand over no more events; they wait in the log'),
  resume: switchCommand('resume', 'Go on where a pause stopped'),
  rewind: rewindCommand,
  test: testCommand,
  rotate: rotateCommand,
};
