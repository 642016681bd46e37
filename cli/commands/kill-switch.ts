import type { CommandDef } from 'citty';
import { defaultReleasePerMinute, holdLevels } from '../../domain/kill-switch.ts';
import { command } from '../command.ts';
import { confirm } from '../confirm.ts';
import { visible } from '../escape.ts';
import { hintMore, pageArgs } from '../format.ts';
import { readNumber } from '../input.ts';
import { type Output, table } from '../output.ts';
import { usage } from '../problem.ts';
import { bodyOf, type Session, show } from '../session.ts';
import { switchLines, switchRow, switchHeads } from '../switch.ts';
import type { Held, KillSwitch, Page } from '../views.ts';

const path = '/v1/kill-switch';

const args = {
  scope: {
    type: 'string',
    required: true,
    valueHint: 'SCOPE',
    description: 'all, kind:KIND or target:TARGET; a * at its end stands for anything',
  },
  reason: { type: 'string', required: true, valueHint: 'TEXT', description: 'Why; everyone held is told' },
  yes: { type: 'boolean', description: 'Do not count and ask; needed where there is no terminal' },
} as const;

const showCommand = command({
  name: 'show',
  about: 'What is stopped, since when, by whom and why, and how far a release has got',
  args: pageArgs,
  run: async (session, { limit, cursor }) => {
    const reply = await session.api.get(path, { limit, cursor });
    const page = bodyOf<Page<KillSwitch>>(reply);
    show(session, reply, () =>
      page.items.length === 0
        ? ['No kill switch was ever engaged.']
        : table(
            session.out,
            switchHeads,
            page.items.map((each) => switchRow(each)),
          ),
    );
    hintMore(session, page);
    return 'ok';
  },
});

/** Counts what a switch is about and asks; true for a yes. */
async function isWanted(
  session: Session,
  scope: string,
  isSure: boolean,
  question: (held: Held) => string,
): Promise<boolean> {
  if (isSure) return true;
  if (session.out.json) throw usage('With --json nobody can be asked; add --yes to do it at once.');
  if (!process.stdin.isTTY)
    throw usage('Nothing was done: there is no terminal to ask at.', 'Add --yes to do it at once.');
  const { held } = bodyOf<{ held: Held }>(await session.api.get(`${path}/held`, { scope }));
  const isYes = await confirm(session, visible(question(held)), false);
  if (!isYes) session.out.hint('Nothing was done.');
  return isYes;
}

const engageCommand = command({
  name: 'engage',
  about: 'Stop: ends what runs in the scope and parks what would begin; acts within seconds',
  args: {
    ...args,
    level: {
      type: 'string',
      required: true,
      valueHint: holdLevels.join('|'),
      description: 'The most that stays allowed',
    },
  },
  run: async (session, { scope, level, reason, yes }) => {
    if (!holdLevels.some((each) => each === level))
      throw usage(`--level is "${level}"; allowed: ${holdLevels.join(', ')}.`);
    const isYes = await isWanted(
      session,
      scope,
      yes === true,
      ({ running, waiting, parked }) =>
        `Over ${scope}: stop ${running} running, hold back ${waiting} waiting, keep ${parked} parked?`,
    );
    if (!isYes) return 'usage';
    const reply = await session.api.put(path, { scope, level, reason });
    const { killSwitch, told } = bodyOf<{ killSwitch: KillSwitch; told: number }>(reply);
    show(session, reply, () => [
      ...switchLines(session.out, killSwitch),
      `${told} ${told === 1 ? 'run was' : 'runs were'} told to stop at once.`,
      ...howToRelease(session.out, killSwitch),
    ]);
    return 'ok';
  },
});

function howToRelease(out: Output, { scope }: KillSwitch): string[] {
  return [out.paint('dim', visible(`dreamnet kill-switch release --scope '${scope}' --reason TEXT`))];
}

const releaseCommand = command({
  name: 'release',
  about: 'Let parked tasks begin again, so many a minute; what was stopped stays stopped',
  args: {
    ...args,
    'per-minute': {
      type: 'string',
      valueHint: 'N',
      description: 'Parked tasks that may begin in a minute',
    },
  },
  run: async (session, { scope, reason, yes, 'per-minute': given }) => {
    const perMinute = readNumber('per-minute', given);
    const isYes = await isWanted(
      session,
      scope,
      yes === true,
      ({ parked }) =>
        `Over ${scope}: let ${parked} parked begin, ${perMinute ?? defaultReleasePerMinute} a minute?`,
    );
    if (!isYes) return 'usage';
    const reply = await session.api.post(`${path}/release`, {
      scope,
      reason,
      ...(perMinute === undefined ? {} : { perMinute }),
    });
    const { killSwitch } = bodyOf<{ killSwitch: KillSwitch }>(reply);
    show(session, reply, () => switchLines(session.out, killSwitch));
    return 'ok';
  },
});

export const killSwitchCommands: Record<string, CommandDef> = {
  show: showCommand,
  engage: engageCommand,
  release: releaseCommand,
};
