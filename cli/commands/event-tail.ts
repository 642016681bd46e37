import { command } from '../command.ts';
import { visible } from '../escape.ts';
import { eventFilters, eventQuery } from '../event-filter.ts';
import { followEvents } from '../follow.ts';
import { instant } from '../format.ts';
import { showItem } from '../session.ts';
import type { Event } from '../bus-views.ts';

export const tailCommand = command({
  name: 'tail',
  about: 'Follow the log, one line for each event, until Ctrl-C',
  args: {
    ...eventFilters,
    after: {
      type: 'string',
      default: 'now',
      valueHint: 'CURSOR',
      description: 'now, start, or the cursor of an event',
    },
    once: { type: 'boolean', description: 'End after the first event' },
  },
  run: async (session, args) => {
    const { after, once } = args;
    if (once !== true) session.out.hint('Following the log; Ctrl-C ends it.');
    await followEvents(session, { after, query: eventQuery(args) }, (event) => {
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
