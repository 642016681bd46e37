import type { ArgsDef, CommandDef } from 'citty';
import { severities } from '../../domain/events.ts';
import { command } from '../command.ts';
import { sourceQuery } from '../event-filter.ts';
import { hintMore, instant, pageArgs } from '../format.ts';
import { pathId } from '../ids.ts';
import { readNumber } from '../input.ts';
import { facts, table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import { threadTree } from '../thread-tree.ts';
import type { EventChain, Thread, ThreadNode } from '../bus-views.ts';
import type { Page } from '../views.ts';

export const windowArgs = {
  from: { type: 'string', valueHint: 'TIME', description: 'ISO time; a day before --to unless given' },
  to: { type: 'string', valueHint: 'TIME', description: 'ISO time; now unless given' },
} as const satisfies ArgsDef;

const milliseconds = (ms: number): string => (ms < 10_000 ? `${ms} ms` : `${Math.round(ms / 1000)} s`);

const listCommand = command({
  name: 'list',
  about: 'Threads of events, the one with the newest event first',
  args: {
    ...windowArgs,
    type: { type: 'string', valueHint: 'TYPE', description: 'That have an event of this type; * at its end' },
    source: { type: 'string', valueHint: 'TYPE[:ID]', description: 'That have an event of this source' },
    'min-severity': {
      type: 'enum',
      options: [...severities],
      description: 'That have an event at least so grave',
    },
    'min-events': { type: 'string', valueHint: 'N', description: 'With so many events in that time' },
    ...pageArgs,
  },
  run: async (session, args) => {
    const { from, to, type, source, limit, cursor } = args;
    const reply = await session.api.get('/v1/threads', {
      ...{ from, to, type, limit, cursor, minSeverity: args['min-severity'] },
      minEvents: readNumber('min-events', args['min-events']),
      ...(source === undefined ? {} : sourceQuery(source)),
    });
    const page = bodyOf<Page<Thread>>(reply);
    const heads = ['LAST', 'EVENTS', 'ERRORS', 'DEPTH', 'LASTED', 'ROOT', 'THREAD'];
    const rows = page.items.map((thread) => [
      ...[instant(thread.lastAt), String(thread.events)],
      thread.errors === 0 ? '0' : { text: String(thread.errors), style: 'red' as const },
      ...[String(thread.depth), milliseconds(thread.durationMs), thread.root.type, thread.correlationId],
    ]);
    show(session, reply, () => (rows.length === 0 ? ['No threads.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});

const showCommand = command({
  name: 'show',
  about: 'One thread as a tree of causes',
  args: { thread: { type: 'positional', required: true, description: 'Correlation id of the thread' } },
  run: async (session, { thread: id }) => {
    const reply = await session.api.get(`/v1/threads/${encodeURIComponent(id)}`);
    const { thread, nodes } = bodyOf<{ thread: Thread; nodes: ThreadNode[] }>(reply);
    show(session, reply, () => [
      ...facts(session.out, [
        ['thread', thread.correlationId],
        ['events', thread.events],
        ['errors', thread.errors],
        ['depth', thread.depth],
        ['lasted', milliseconds(thread.durationMs)],
      ]),
      '',
      ...threadTree(session.out, nodes),
    ]);
    if (thread.isTruncated) session.out.hint(`Only the first ${nodes.length} events are shown.`);
    return 'ok';
  },
});

const chainCommand = command({
  name: 'chain',
  about: 'What led to an event, and what it led to',
  args: { event: { type: 'positional', required: true, description: 'Event' } },
  run: async (session, { event }) => {
    const reply = await session.api.get(`/v1/events/${pathId(event)}/chain`);
    const chain = bodyOf<EventChain>(reply);
    const causes = chain.ancestors.map((cause, depth) => ({
      event: cause,
      depth,
      link: 'caused',
      delayMs: null,
    }));
    const below = chain.nodes.map((node) => ({ ...node, depth: node.depth + causes.length }));
    show(session, reply, () => [
      ...(chain.missingCauseId === null ? [] : facts(session.out, [['cause gone', chain.missingCauseId]])),
      ...threadTree(session.out, [...causes, ...below]),
    ]);
    if (chain.isTruncated) session.out.hint('The chain is longer than what is shown.');
    return 'ok';
  },
});

export const threadCommands: Record<string, CommandDef> = {
  list: listCommand,
  show: showCommand,
  chain: chainCommand,
};
