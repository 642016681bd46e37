import type { ArgsDef, CommandDef } from 'citty';
import { severities, sourceTypes } from '../../domain/events.ts';
import { command } from '../command.ts';
import { visible } from '../escape.ts';
import { followEvents } from '../follow.ts';
import { hintMore, instant, marked, pageArgs } from '../format.ts';
import { readObject } from '../input.ts';
import { table } from '../output.ts';
import { usage } from '../problem.ts';
import { bodyOf, show, showItem } from '../session.ts';
import type { Event, Page } from '../views.ts';

const filters = {
  type: {
    type: 'string',
    valueHint: 'TYPE',
    description: 'Only this type; a * at its end takes all that begin so',
  },
  severity: { type: 'enum', options: [...severities], description: 'Only this severity' },
} as const satisfies ArgsDef;

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
  args: { ...filters, ...pageArgs },
  run: async (session, { type, severity, limit, cursor }) => {
    const reply = await session.api.get('/v1/events', { type, severity, limit, cursor });
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

const tailCommand = command({
  name: 'tail',
  about: 'Follow the log, one line for each event, until Ctrl-C',
  args: {
    ...filters,
    after: {
      type: 'string',
      default: 'now',
      valueHint: 'CURSOR',
      description: 'now, start, or the cursor of an event',
    },
    once: { type: 'boolean', description: 'End after the first event' },
  },
  run: async (session, { type, severity, after, once }) => {
    if (once !== true) session.out.hint('Following the log; Ctrl-C ends it.');
    await followEvents(session, { after, query: { type, severity } }, (event) => {
      showItem(session, event, () => lineOf(event));
      return once !== true;
    });
    return 'ok';
  },
});

const shownPayload = 160;

function lineOf({ recordedAt, severity, type, source, id, payload }: Event): string {
  const text = JSON.stringify(payload);
  const brief = text.length > shownPayload ? `${text.slice(0, shownPayload)}…` : text;
  return visible(
    `${instant(recordedAt)}  ${severity.padEnd(8)}  ${type}  ${source.type}:${source.id}  ${id}  ${brief}`,
  );
}

export const eventCommands: Record<string, CommandDef> = {
  send: sendCommand,
  tail: tailCommand,
  list: listCommand,
};
