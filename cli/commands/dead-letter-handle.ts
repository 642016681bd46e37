import { command } from '../command.ts';
import {
  leftOutLines,
  letterFilterArgs,
  letterFilterOf,
  previewLines,
  redriveLines,
} from '../dead-letter.ts';
import type { Exit } from '../exits.ts';
import type { Reply } from '../http.ts';
import { pathId } from '../ids.ts';
import { readList, readNumber } from '../input.ts';
import { checkFlags, isAgreed, previewArgs } from '../preview.ts';
import { usage } from '../problem.ts';
import { bodyOf, exitFor, type Session, show } from '../session.ts';
import type { DeadLetter, LetterPreview, Redrive } from '../bus-views.ts';

/** Thousands of rows take longer than one. */
const withinMs = 120_000;

const whichArgs = {
  id: { type: 'positional', required: false, description: 'One dead letter, without a preview' },
  ...letterFilterArgs,
  ids: { type: 'string', valueHint: 'ID,ID', description: 'These instead of a filter' },
  all: { type: 'boolean', description: 'Everything open, without a filter' },
  maximum: { type: 'string', valueHint: 'N', description: 'The oldest N of a filter; 100 unless given' },
  ...previewArgs,
} as const;

type Which = {
  [K in Exclude<keyof typeof whichArgs, 'all' | 'preview' | 'yes'>]?: string | undefined;
} & { all?: boolean | undefined; preview?: boolean | undefined; yes?: boolean | undefined };

/** Which dead letters are meant: one by its id, or what a preview is made of. */
function wishOf({ id, ids, all, maximum, ...filters }: Which): { one: string } | { many: object } {
  const filter = letterFilterOf(filters);
  const isFiltered = Object.values(filter).some((value) => value !== undefined);
  if ([id !== undefined, ids !== undefined, all === true, isFiltered].filter(Boolean).length !== 1)
    throw usage('Say which: an ID, filters such as --subscription or --cause, or --ids ID,ID, or --all.');
  if (id !== undefined) return { one: pathId(id) };
  const most = readNumber('maximum', maximum);
  return { many: { ...(ids === undefined ? { filter } : { ids: readList(ids) }), maximum: most } };
}

/** Shows what it would be about, asks, and answers with what was then done; null when nothing was. */
async function previewed(
  session: Session,
  given: { path: string; wanted: object; question: (count: number) => string; which: Which },
): Promise<{ reply: Reply } | { exit: Exit }> {
  const { path, wanted, question, which } = given;
  checkFlags(session, which);
  const shown = await session.api.post(path, { ...wanted, preview: true }, {}, withinMs);
  const preview = bodyOf<LetterPreview>(shown);
  if (which.preview === true) {
    show(session, shown, () => previewLines(session.out, preview));
    return { exit: 'ok' };
  }
  if (!session.out.json) for (const line of previewLines(session.out, preview)) session.out.line(line);
  if (preview.count === 0) {
    if (session.out.json) show(session, shown, () => []);
    return { exit: preview.leftOut.length === 0 ? 'ok' : 'conflict' };
  }
  const asking = { yes: which.yes, question: question(preview.count), undone: 'Nothing was done' };
  if (!(await isAgreed(session, asking))) return { exit: 'usage' };
  return {
    reply: await session.api.post(path, { ...wanted, selection: preview.selection }, {}, withinMs),
  };
}

export const redriveCommand = command({
  name: 'redrive',
  about: 'Hand dead letters over again: one first, then the others so many a minute',
  args: {
    ...whichArgs,
    'per-minute': { type: 'string', valueHint: 'N', description: 'So many a minute; 60 unless given' },
    'without-canary': { type: 'boolean', description: 'Do not wait for one of them to succeed first' },
    reason: { type: 'string', valueHint: 'TEXT', description: 'Why' },
  },
  run: async (session, { 'per-minute': pace, 'without-canary': isBold, reason, ...which }) => {
    const wish = wishOf(which);
    const perMinute = readNumber('per-minute', pace);
    if ('one' in wish)
      return started(session, await session.api.post(`/v1/dead-letters/${wish.one}/redrive`, { reason }));
    const ended = await previewed(session, {
      path: '/v1/dead-letters/redrive',
      wanted: { ...wish.many, reason, perMinute, ...(isBold === true ? { canary: false } : {}) },
      question: (count) => `Hand these ${count} over again?`,
      which,
    });
    return 'exit' in ended ? ended.exit : started(session, ended.reply);
  },
});

function started(session: Session, reply: Reply): Exit {
  const { redrive, leftOut } = bodyOf<{ redrive: Redrive; leftOut: { id: string; why: string }[] }>(reply);
  show(session, reply, () => [...redriveLines(session.out, redrive), ...leftOutLines(session.out, leftOut)]);
  session.out.hint(`Watch it: dreamnet redrive watch ${redrive.id}`);
  return exitFor(session, reply);
}

export const discardCommand = command({
  name: 'discard',
  about: 'Give dead letters up for good, and say why',
  args: {
    ...whichArgs,
    reason: { type: 'string', required: true, valueHint: 'TEXT', description: 'Why' },
  },
  run: async (session, { reason, ...which }) => {
    if (reason.trim() === '') throw usage('--reason is empty; say why.');
    const wish = wishOf(which);
    if ('one' in wish) {
      const reply = await session.api.post(`/v1/dead-letters/${wish.one}/discard`, { reason });
      show(session, reply, () => [`${bodyOf<DeadLetter>(reply).id} is discarded.`]);
      return 'ok';
    }
    const ended = await previewed(session, {
      path: '/v1/dead-letters/discard',
      wanted: { ...wish.many, reason },
      question: (count) => `Give these ${count} up for good?`,
      which,
    });
    if ('exit' in ended) return ended.exit;
    const done = bodyOf<{ discarded: number; leftOut: { id: string; why: string }[] }>(ended.reply);
    show(session, ended.reply, () => [
      `${done.discarded} discarded`,
      ...leftOutLines(session.out, done.leftOut),
    ]);
    return done.leftOut.length === 0 ? 'ok' : 'conflict';
  },
});
