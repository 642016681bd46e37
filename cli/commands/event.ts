import type { CommandDef } from 'citty';
import { severities, sourceTypes } from '../../domain/events.ts';
import { command } from '../command.ts';
import { visible } from '../escape.ts';
import { eventFilters, eventQuery } from '../event-filter.ts';
import { sendLines } from '../event-lines.ts';
import type { Exit } from '../exits.ts';
import { hintMore, instant, marked, pageArgs } from '../format.ts';
import { readObject } from '../input.ts';
import { table } from '../output.ts';
import { usage } from '../problem.ts';
import { bodyOf, type Session, show, showItem } from '../session.ts';
import type { Event } from '../bus-views.ts';
import type { Page } from '../views.ts';
import { statsCommand } from './event-stats.ts';
import { tailCommand } from './event-tail.ts';

const sendCommand = command({
  name: 'send',
  about: 'Append one event to the log, or with --lines those of a file',
  args: {
    type: { type: 'positional', required: false, description: 'Dotted type, such as deploy.finished' },
    lines: {
      type: 'string',
      valueHint: 'FILE|-',
      description: 'Events as JSON, one on each line; the other options do not go with it',
    },
    'deliver-at': {
      type: 'string',
      valueHint: 'TIME',
      description: 'Handed to its subscribers from then on',
    },
    severity: { type: 'enum', options: [...severities], description: 'info unless given' },
    source: { type: 'string', valueHint: 'TYPE:ID', default: 'api:cli', description: 'Who says so' },
    payload: { type: 'string', valueHint: 'JSON|@FILE|-', description: 'What happened' },
    id: { type: 'string', valueHint: 'ID', description: 'An event with this id is stored once' },
  },
  run: async (session, { type, severity, source = 'api:cli', payload, id, lines, ...more }) => {
    const deliverAt = more['deliver-at'];
    if (lines !== undefined) {
      const others = [type, severity, payload, id, deliverAt, source === 'api:cli' ? undefined : source];
      if (others.some((each) => each !== undefined))
        throw usage('--lines takes events whole, each with its type and source; nothing else goes with it.');
      return sendAll(session, lines);
    }
    if (type === undefined) throw usage('The type of the event is missing; or give --lines FILE.');
    const reply = await session.api.post('/v1/events', {
      id,
      type,
      severity,
      source: readSource(source),
      deliverAt,
      payload: payload === undefined ? undefined : await readObject('payload', payload),
    });
    const stored = bodyOf<{ id: string; duplicate: boolean; differs?: true }>(reply);
    show(session, reply, () => [visible(stored.id)]);
    if (stored.duplicate)
      session.out.hint(
        stored.differs === true
          ? 'The log has an event with this id and another content; it is left as it was.'
          : 'The log had an event with this id already; it is left as it was.',
      );
    return 'ok';
  },
});

async function sendAll(session: Session, file: string): Promise<Exit> {
  const sent = await sendLines(session, file);
  const { accepted, duplicates, differing } = sent;
  showItem(session, sent, () => `${accepted} events, ${duplicates} of which the log had already`);
  if (differing > 0)
    session.out.hint(
      `${differing} came with the id of an event of another content, which was left as it was.`,
    );
  return 'ok';
}

function readSource(text: string): { type: string; id: string } {
  const [type = '', ...rest] = text.split(':');
  const id = rest.join(':');
  if (!(sourceTypes as readonly string[]).includes(type) || id === '')
    throw usage(
      `--source is "${text}"; it has to be TYPE:ID with one of the types ${sourceTypes.join(', ')}.`,
    );
  return { type, id };
}

const listCommand = command({
  name: 'list',
  about: 'Events, newest first',
  args: { ...eventFilters, ...pageArgs },
  run: async (session, args) => {
    const { limit, cursor } = args;
    const reply = await session.api.get('/v1/events', { ...eventQuery(args), limit, cursor });
    const page = bodyOf<Page<Event>>(reply);
    const rows = page.items.map((event) => [
      ...[instant(event.recordedAt), marked(event.severity), event.type],
      ...[`${event.source.type}:${event.source.id}`, event.id],
    ]);
    const heads = ['RECORDED', 'SEVERITY', 'TYPE', 'SOURCE', 'ID'];
    show(session, reply, () => (rows.length === 0 ? ['No events.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});

export const eventCommands: Record<string, CommandDef> = {
  send: sendCommand,
  tail: tailCommand,
  list: listCommand,
  stats: statsCommand,
};
