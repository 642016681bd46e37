import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { letterFilterArgs, letterFilterOf, letterHeads, letterLines, letterRow } from '../dead-letter.ts';
import { visible } from '../escape.ts';
import { hintMore, instant, marked, pageArgs } from '../format.ts';
import { pathId } from '../ids.ts';
import { table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import type { DeadLetter, DeadLetterWhole, LetterHeaps } from '../bus-views.ts';
import type { Page } from '../views.ts';
import { discardCommand, redriveCommand } from './dead-letter-handle.ts';

const listCommand = command({
  name: 'list',
  about: 'Deliveries that were given up, newest first',
  args: {
    ...letterFilterArgs,
    state: {
      type: 'enum',
      options: ['open', 'requeued', 'discarded', 'any'],
      description: 'In this state; open unless given',
    },
    ...pageArgs,
  },
  run: async (session, { state, limit, cursor, ...filter }) => {
    const query = { ...letterFilterOf(filter), state, limit, cursor };
    const reply = await session.api.get('/v1/dead-letters', query);
    const page = bodyOf<Page<DeadLetter>>(reply);
    show(session, reply, () =>
      page.items.length === 0
        ? ['No dead letters.']
        : table(session.out, letterHeads, page.items.map(letterRow)),
    );
    hintMore(session, page);
    return 'ok';
  },
});

const showCommand = command({
  name: 'show',
  about: 'One with its event as it was, every attempt, and what its delivery is now',
  args: { id: { type: 'positional', required: true, description: 'Dead letter' } },
  run: async (session, args) => {
    const reply = await session.api.get(`/v1/dead-letters/${pathId(args.id)}`);
    show(session, reply, () => letterLines(session.out, bodyOf<DeadLetterWhole>(reply)));
    return 'ok';
  },
});

const summaryCommand = command({
  name: 'summary',
  about: 'What grew: counts by subscription and cause, what grew most in the last hour first',
  args: {},
  run: async (session) => {
    const reply = await session.api.get('/v1/dead-letters/summary');
    const { open, heaps, alerts } = bodyOf<LetterHeaps>(reply);
    const heads = ['SUBSCRIPTION', 'CAUSE', 'OPEN', 'LAST HOUR', 'LAST DAY', 'OLDEST'];
    const rows = heaps.map((heap) => [
      ...[heap.subscription, marked(heap.cause), String(heap.open), String(heap.lastHour)],
      ...[String(heap.lastDay), heap.oldestOpenAt === null ? '' : instant(heap.oldestOpenAt)],
    ]);
    show(session, reply, () => [
      ...alerts.map((alert) =>
        session.out.paint('red', visible(`growing: ${alert.subscription}: ${alert.because}`)),
      ),
      ...(rows.length === 0 ? ['No dead letters.'] : table(session.out, heads, rows)),
      `${open} open`,
    ]);
    return 'ok';
  },
});

export const deadLetterCommands: Record<string, CommandDef> = {
  list: listCommand,
  show: showCommand,
  summary: summaryCommand,
  redrive: redriveCommand,
  discard: discardCommand,
};
