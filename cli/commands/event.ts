import type { CommandDef } from 'citty';
import { severities, sourceTypes } from '../../domain/events.ts';
import { command } from '../command.ts';
import { visible } from '../escape.ts';
import { eventFilters, eventQuery } from '../event-filter.ts';
import { hintMore, instant, marked, pageArgs } from '../format.ts';
import { readObject } from '../input.ts';
import { table } from '../output.ts';
import { usage } from '../problem.ts';
import { bodyOf, show } from '../session.ts';
import type { Event, Page } from '../views.ts';
import { statsCommand } from './event-stats.ts';
import { tailCommand } from './event-tail.ts';

const sendCommand = command({
  name: 'send',
  about: 'Append one event to the log',
  args: {
    type: { type: 'positional', required: true, description: 'Dotted type, such as deploy.finished' },
    severity: { type: 'enum', options: [...severities], description: 'info unless given' },
    source: { type: 'string', valueHint: 'TYPE:ID', default: 'api:cli', description: 'Who says so' },
    payload: { type: 'string', valueHint: 'JSON|@FILE|-', description: 'What happened' },
    id: { type: 'string', valueHint: 'ID', description: 'An event with this id is stored once' },
  },
  run: async (session, { type, severity, source, payload, id }) => {
    const reply = await session.api.post('/v1/events', {
      id,
      type,
      severity,
      source: readSource(source),
      payload: payload === undefined ? undefined : await readObject('payload', payload),
    });
    const stored = bodyOf<{ id: string; duplicate: boolean }>(reply);
    show(session, reply, () => [visible(stored.id)]);
    if (stored.duplicate)
      session.out.hint('The log had an event with this id already; it is left as it was.');
    return 'ok';
  },
});

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
