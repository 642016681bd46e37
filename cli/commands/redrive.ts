import type { CommandDef } from 'citty';
import { isRedriveEnded, redriveStates } from '../../domain/redrive.ts';
import { command } from '../command.ts';
import { redriveHeads, redriveLine, redriveLines, redriveRow } from '../dead-letter.ts';
import { visible } from '../escape.ts';
import type { Exit } from '../exits.ts';
import { hintMore, pageArgs } from '../format.ts';
import { pathId } from '../ids.ts';
import { look } from '../look.ts';
import { table } from '../output.ts';
import { bodyOf, type Session, show, showItem } from '../session.ts';
import { pause } from '../stop.ts';
import type { Redrive, RedriveWhole } from '../bus-views.ts';
import type { Page } from '../views.ts';

const id = { type: 'positional', required: true, description: 'Redrive' } as const;
const everyMs = 1_000;

const listCommand = command({
  name: 'list',
  about: 'Redrives, newest first, and how far each has got',
  args: {
    state: {
      type: 'enum',
      options: [...redriveStates],
      description: 'In this state only',
    },
    ...pageArgs,
  },
  run: async (session, { state, limit, cursor }) => {
    const reply = await session.api.get('/v1/redrives', { state, limit, cursor });
    const page = bodyOf<Page<Redrive>>(reply);
    show(session, reply, () =>
      page.items.length === 0
        ? ['No redrives.']
        : table(session.out, redriveHeads, page.items.map(redriveRow)),
    );
    hintMore(session, page);
    return 'ok';
  },
});

const showCommand = command({
  name: 'show',
  about: 'One redrive: how far it has got, what failed again and what was left out',
  args: { id },
  run: async (session, args) => {
    const reply = await session.api.get(`/v1/redrives/${pathId(args.id)}`);
    show(session, reply, () => redriveLines(session.out, bodyOf<RedriveWhole>(reply)));
    return 'ok';
  },
});

const cancelCommand = command({
  name: 'cancel',
  about: 'End it now: what had no turn stays open, what is on its way goes on',
  args: { id, reason: { type: 'string', valueHint: 'TEXT', description: 'Why' } },
  run: async (session, { id: given, reason }) => {
    const reply = await session.api.post(`/v1/redrives/${pathId(given)}/cancel`, { reason });
    show(session, reply, () => redriveLines(session.out, bodyOf<RedriveWhole>(reply)));
    return 'ok';
  },
});

const watchCommand = command({
  name: 'watch',
  about: 'Follow one to its end; 0 when it is done, 6 when it was stopped or cancelled',
  args: { id },
  run: async (session, args) => watch(session, `/v1/redrives/${pathId(args.id)}`),
});

/** A line for each change; an API that is away for a while is waited for. */
async function watch(session: Session, path: string): Promise<Exit> {
  let before: string | null = null;
  for (;;) {
    const reply = await look(session, () => session.api.get(path), before === null);
    if (reply !== null) {
      const redrive = bodyOf<RedriveWhole>(reply);
      const line = redriveLine(redrive);
      if (line !== before) showItem(session, redrive, () => visible(line));
      before = line;
      if (isRedriveEnded(redrive.state)) return ended(session, redrive);
    }
    await pause(everyMs, session.stop);
    session.stop.throwIfAborted();
  }
}

function ended(session: Session, { state, endedBecause }: Redrive): Exit {
  if (endedBecause !== null) session.out.hint(visible(endedBecause));
  return state === 'done' ? 'ok' : 'conflict';
}

export const redriveCommands: Record<string, CommandDef> = {
  list: listCommand,
  show: showCommand,
  cancel: cancelCommand,
  watch: watchCommand,
};
