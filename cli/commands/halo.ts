import type { CommandDef } from 'citty';
import { cycleModes } from '../../domain/halo.ts';
import { command } from '../command.ts';
import { describeCycle, waitForCycle } from '../cycle.ts';
import { visible } from '../escape.ts';
import { hintMore, instant, linkLine, marked, pageArgs } from '../format.ts';
import { readNumber } from '../input.ts';
import { facts, table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import type { Cycle, HaloState } from '../halo-views.ts';
import type { Link, Page } from '../views.ts';
import { analyzersCommand } from './halo-analyzers.ts';
import { repairsCommand } from './halo-repairs.ts';

const runCommand = command({
  name: 'run',
  about: 'Ask for a cycle now',
  args: {
    mode: {
      type: 'enum',
      options: [...cycleModes],
      description: 'light looks only; full also proposes tasks',
    },
    wait: { type: 'boolean', description: 'Wait until the cycle has ended, and show it' },
    timeout: { type: 'string', default: '300', valueHint: 'SECONDS', description: 'How long --wait waits' },
  },
  run: async (session, { mode, wait, timeout }) => {
    const seconds = readNumber('timeout', timeout) ?? 0;
    const reply = await session.api.post('/v1/halo/cycles', { mode });
    const asked = bodyOf<{ cycleId: string; because: string; temporal: Link }>(reply);
    if (wait) {
      session.out.hint(
        `cycle ${visible(asked.cycleId)}: ${visible(asked.because)}\n${linkLine(session.out, asked.temporal)}`,
      );
      return waitForCycle(session, asked.cycleId, seconds);
    }
    show(session, reply, () => [
      ...facts(session.out, [
        ['cycle', asked.cycleId],
        ['loop', asked.because],
      ]),
      linkLine(session.out, asked.temporal),
    ]);
    return 'ok';
  },
});

function describeNext({ cycleId, mode, startsAt, because }: NonNullable<HaloState['pending']>): string {
  const when = startsAt === null ? '' : ` at ${instant(startsAt)} at the earliest`;
  return `${cycleId} (${mode})${when}: ${because}`;
}

function counted(triggers: Record<string, number>): string {
  return Object.entries(triggers)
    .map(([name, times]) => `${name} ${times}`)
    .join(', ');
}

function describeSchedule({ limits, lastTickAt }: HaloState): string {
  if (limits.intervalMs === 0) return 'off';
  const last = lastTickAt === null ? 'not yet' : `last ${instant(lastTickAt)}`;
  return `every ${limits.intervalMs / 1000} s, ${last}`;
}

const statusCommand = command({
  name: 'status',
  about: 'Where the loop stands',
  args: {},
  run: async (session) => {
    const reply = await session.api.get('/v1/halo');
    const state = bodyOf<HaloState>(reply);
    show(session, reply, () => [
      ...facts(session.out, [
        [
          'loop',
          state.running ? (state.paused ? 'paused' : 'running') : 'not started; the first request starts it',
        ],
        ['running cycle', state.runningCycleId],
        ['next cycle', state.pending === null ? null : describeNext(state.pending)],
        ['asked for by', state.pending === null ? null : counted(state.pending.triggers)],
        ['last ended', state.lastEndedAt === null ? null : instant(state.lastEndedAt)],
        ['starts in the last hour', state.startsInLastHour],
        ['budget left', `${state.budgetLeft} of ${state.limits.cyclesPerHour} this hour`],
        ['cycles', state.cycles],
        ['schedule', describeSchedule(state)],
        ...state.counters.map(({ name, count, threshold }): [string, string] => [
          name,
          threshold === 0 ? 'not counted' : `${count} of ${threshold}`,
        ]),
      ]),
      linkLine(session.out, state.temporal),
    ]);
    return 'ok';
  },
});

function switchCommand(name: 'pause' | 'resume', about: string): CommandDef {
  return command({
    name,
    about,
    args: {},
    run: async (session) => {
      const reply = await session.api.post(`/v1/halo/${name}`, {});
      const { temporal } = bodyOf<{ temporal: Link }>(reply);
      show(session, reply, () => [`HALO is ${name}d.`, linkLine(session.out, temporal)]);
      return 'ok';
    },
  });
}

const cyclesCommand = command({
  name: 'cycles',
  about: 'Cycles, newest first; with an id that one',
  args: { id: { type: 'positional', required: false, description: 'Cycle' }, ...pageArgs },
  run: async (session, { id, limit, cursor }) => {
    if (id !== undefined) return describeCycle(session, id);
    const reply = await session.api.get('/v1/halo/cycles', { limit, cursor });
    const page = bodyOf<Page<Cycle>>(reply);
    const heads = ['ID', 'STATE', 'MODE', 'WEAK POINTS', 'TASKS', 'STARTED'];
    const rows = page.items.map((cycle) => [
      ...[cycle.id, marked(cycle.state), cycle.mode, String(cycle.weakPoints.length)],
      ...[cycle.taskIds.join(', ') || '-', instant(cycle.startedAt)],
    ]);
    show(session, reply, () => (rows.length === 0 ? ['No cycles.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});

export const haloCommands: Record<string, CommandDef> = {
  run: runCommand,
  status: statusCommand,
  pause: switchCommand('pause', 'No cycle starts until a resume'),
  resume: switchCommand('resume', 'Cycles start again'),
  cycles: cyclesCommand,
  analyzers: analyzersCommand,
  repairs: repairsCommand,
};
