import { type Cell, facts, type Output, table } from './output.ts';
import { duration, instant, linkLine, marked } from './format.ts';
import { usage } from './problem.ts';
import type { DeadLetter, DeadLetterWhole, LetterPreview, Redrive, RedriveWhole } from './bus-views.ts';

/** Options that choose dead letters; a list and a redrive or discard take the same. */
export const letterFilterArgs = {
  subscription: { type: 'string', valueHint: 'KEY', description: 'Of this subscription only' },
  cause: { type: 'string', valueHint: 'CAUSE', description: 'With this cause: UNREACHABLE, REFUSED ...' },
  type: { type: 'string', valueHint: 'TYPE', description: 'Of this event type, or beginning so: shop.*' },
  event: { type: 'string', valueHint: 'ID', description: 'Of this event' },
  text: { type: 'string', valueHint: 'TEXT', description: 'With this text in the error' },
  from: { type: 'string', valueHint: 'TIME', description: 'Given up at this time or later' },
  to: { type: 'string', valueHint: 'TIME', description: 'Given up at this time or before' },
} as const;

type FilterArgs = { [K in keyof typeof letterFilterArgs]?: string | undefined };

function time(option: string, given: string | undefined): string | undefined {
  if (given === undefined) return undefined;
  const at = new Date(given);
  if (Number.isNaN(at.getTime())) throw usage(`--${option} is "${given}"; write it as 2026-11-27T09:00:00Z.`);
  return at.toISOString();
}

export function letterFilterOf({ subscription, cause, type, event, text, from, to }: FilterArgs) {
  return {
    ...{ subscription, cause, type, eventId: event, text },
    ...{ from: time('from', from), to: time('to', to) },
  };
}

export const letterHeads = ['ID', 'WHEN', 'SUBSCRIPTION', 'CAUSE', 'EVENT', 'STATE', 'ERROR'];
export function letterRow(letter: DeadLetter): Cell[] {
  return [
    ...[letter.id, instant(letter.createdAt), letter.subscription, marked(letter.cause), letter.eventType],
    ...[letter.state, letter.error],
  ];
}

/** One dead letter with everything that is known of it. */
export function letterLines(out: Output, letter: DeadLetterWhole): string[] {
  const { delivery } = letter;
  const attempts = letter.history.map((each) => [instant(each.at), each.cause, each.error]);
  const before = letter.occurrences.filter(({ id }) => id !== letter.id);
  return [
    ...facts(out, [
      ['dead letter', letter.id],
      ['subscription', letter.subscription],
      ['part', letter.part === '' ? null : letter.part],
      ['event', `${letter.eventId} (${letter.eventType})`],
      ['cause', letter.cause],
      ['error', letter.error],
      ['state', letter.state],
      [
        'handled',
        letter.handledAt === null ? null : `${instant(letter.handledAt)} by ${letter.handledBy ?? ''}`,
      ],
      ['reason', letter.reason],
      ['redrive', letter.redriveId],
      ['delivery', delivery === null ? 'gone' : `${delivery.state}, ${delivery.attempts} attempts`],
      ['given up', instant(letter.createdAt)],
      ['also', before.length === 0 ? null : before.map(({ id, state }) => `${id} (${state})`).join(', ')],
      ['payload', JSON.stringify(letter.event.payload)],
    ]),
    ...(attempts.length === 0 ? [] : table(out, ['ATTEMPT', 'CAUSE', 'ERROR'], attempts)),
  ];
}

/** What a redrive or a discard would be about. */
export function previewLines(out: Output, preview: LetterPreview): string[] {
  if (preview.count === 0) return ['None that can be handled.', ...leftOutLines(out, preview.leftOut)];
  const heaps = preview.heaps.map((heap) => [String(heap.count), heap.subscription, marked(heap.cause)]);
  const rows = preview.items.map((item) => [
    ...[item.id, instant(item.createdAt), item.eventType, item.error],
  ]);
  const rest = preview.count - preview.items.length;
  return [
    ...table(out, ['COUNT', 'SUBSCRIPTION', 'CAUSE'], heaps),
    ...table(out, ['ID', 'WHEN', 'EVENT', 'ERROR'], rows),
    ...(rest > 0 ? [`and ${rest} more of these`] : []),
    ...(preview.more ? ['There are more over the maximum; they come with the next call.'] : []),
    ...leftOutLines(out, preview.leftOut),
  ];
}

export function leftOutLines(out: Output, leftOut: { id: string; why: string }[]): string[] {
  return facts(
    out,
    leftOut.map(({ id, why }): [string, string] => [`left out: ${id}`, why]),
  );
}

export const redriveHeads = ['ID', 'STATE', 'DONE', 'FAILED', 'ON THE WAY', 'WAITING', 'OF', 'BY', 'STARTED'];
export function redriveRow({ id, state, counts, total, requestedBy, createdAt }: Redrive): Cell[] {
  const numbers = [counts.completed, counts.failed, counts.released, counts.waiting, total].map(String);
  return [id, marked(state), ...numbers, requestedBy, instant(createdAt)];
}

/** One line of how far it has got, for a watcher. */
export function redriveLine({ state, counts, total }: Redrive): string {
  const { completed, failed, released, waiting, leftOut } = counts;
  return `${state}: ${completed} of ${total} completed, ${failed} failed again, ${released} on their way, ${waiting} waiting, ${leftOut} left out`;
}

export function redriveLines(out: Output, redrive: Redrive | RedriveWhole): string[] {
  const odd = 'odd' in redrive ? redrive.odd : [];
  const minutes = redrive.counts.waiting / redrive.perMinute;
  return [
    ...facts(out, [
      ['redrive', redrive.id],
      ['so far', redriveLine(redrive)],
      ['pace', `${redrive.perMinute} a minute${redrive.canary ? ', after a canary' : ''}`],
      ['left', redrive.counts.waiting === 0 ? null : `at least ${duration(minutes * 60)}`],
      ['by', redrive.requestedBy],
      ['reason', redrive.reason],
      ['ended', redrive.endedAt === null ? null : instant(redrive.endedAt)],
      ['because', redrive.endedBecause],
      ['cancelled by', redrive.cancelledBy],
    ]),
    ...(odd.length === 0
      ? []
      : table(
          out,
          ['DEAD LETTER', 'STATE', 'BECAUSE'],
          odd.map((each) => [each.deadLetterId, marked(each.state), each.because ?? '']),
        )),
    linkLine(out, redrive.temporal),
  ];
}
