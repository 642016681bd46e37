import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { hintMore, marked, pageArgs } from '../format.ts';
import { longMs } from '../http.ts';
import { pathId } from '../ids.ts';
import { readNumber, readObjectFile } from '../input.ts';
import { facts, type Output, table } from '../output.ts';
import { bodyOf, type Session, show } from '../session.ts';
import type { Wormhole, WormholeBackTest, WormholeDryRun, WormholeResult } from '../bus-views.ts';
import type { Page } from '../views.ts';

const id = { type: 'positional', required: true, description: 'Wormhole, by id or name' } as const;
const fileText = 'JSON of name, match, action, description, maxHops; - reads stdin';
const file = { type: 'positional', required: true, description: fileText } as const;

const stateOf = ({ enabled }: Wormhole): string => (enabled ? 'enabled' : 'disabled');

function describeWormhole(out: Output, wormhole: Wormhole): string[] {
  const { backTest } = wormhole;
  return facts(out, [
    ['wormhole', wormhole.id],
    ['name', wormhole.name],
    ['about', wormhole.description === '' ? null : wormhole.description],
    ['state', `${stateOf(wormhole)}, version ${wormhole.version}`],
    ['takes', JSON.stringify(wormhole.match)],
    ['does', JSON.stringify(wormhole.action)],
    ['hops', wormhole.maxHops],
    ['owner', wormhole.owner],
    ['back-test', backTest === null ? 'none' : `version ${backTest.version} at ${backTest.at}`],
  ]);
}

const listCommand = command({
  name: 'list',
  about: 'Rules on the bus: which events they take, and what comes of them',
  args: pageArgs,
  run: async (session, { limit, cursor }) => {
    const reply = await session.api.get('/v1/wormholes', { limit, cursor });
    const page = bodyOf<Page<Wormhole>>(reply);
    const heads = ['ID', 'NAME', 'STATE', 'VERSION', 'ACTION', 'TYPES'];
    const rows = page.items.map((wormhole) => [
      ...[wormhole.id, wormhole.name, marked(stateOf(wormhole)), String(wormhole.version)],
      ...[wormhole.action.kind, wormhole.match.types.join(', ') || 'every type'],
    ]);
    show(session, reply, () => (rows.length === 0 ? ['No wormholes.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});

const showCommand = command({
  name: 'show',
  about: 'One wormhole',
  args: { id },
  run: async (session, args) => {
    const reply = await session.api.get(`/v1/wormholes/${pathId(args.id)}`);
    show(session, reply, () => describeWormhole(session.out, bodyOf<Wormhole>(reply)));
    return 'ok';
  },
});

type Made = { wormhole: Wormhole; signingSecret: string | null };

function showMade(session: Session, reply: Parameters<typeof bodyOf>[0]): void {
  const { wormhole, signingSecret } = bodyOf<Made>(reply);
  show(session, reply, () => [
    ...describeWormhole(session.out, wormhole),
    ...facts(session.out, [['signing secret', signingSecret]]),
  ]);
  if (signingSecret !== null)
    session.out.hint('Give the signing secret to the receiver now: it is shown once and stored nowhere.');
  session.out.hint(
    `It is off. See what it would do, then enable it: dreamnet wormhole back-test ${wormhole.name}`,
  );
}

const createCommand = command({
  name: 'create',
  about: 'Store a wormhole, switched off',
  args: { file },
  run: async (session, args) => {
    showMade(session, await session.api.post('/v1/wormholes', await readObjectFile(args.file)));
    return 'ok';
  },
});

const changeCommand = command({
  name: 'change',
  about: 'Write its next version, which is off until it is enabled',
  args: { id, file: { ...file, description: 'JSON of what changes; - reads stdin' } },
  run: async (session, args) => {
    const path = `/v1/wormholes/${pathId(args.id)}`;
    showMade(session, await session.api.patch(path, await readObjectFile(args.file)));
    return 'ok';
  },
});

const enableCommand = command({
  name: 'enable',
  about: 'Switch a version on that was back-tested in the last hour',
  args: {
    id,
    'without-back-test': { type: 'string', valueHint: 'REASON', description: 'Why it goes without one' },
  },
  run: async (session, args) => {
    const reason = args['without-back-test'];
    const path = `/v1/wormholes/${pathId(args.id)}/enable`;
    const reply = await session.api.post(path, reason === undefined ? {} : { withoutBackTest: true, reason });
    show(session, reply, () => describeWormhole(session.out, bodyOf<Wormhole>(reply)));
    return 'ok';
  },
});

const disableCommand = command({
  name: 'disable',
  about: 'Switch it off: the next event passes it by',
  args: { id },
  run: async (session, args) => {
    const reply = await session.api.post(`/v1/wormholes/${pathId(args.id)}/disable`, {});
    show(session, reply, () => describeWormhole(session.out, bodyOf<Wormhole>(reply)));
    return 'ok';
  },
});

const removeCommand = command({
  name: 'remove',
  about: 'Remove it; its results stay until they are old',
  args: { id },
  run: async (session, args) => {
    const reply = await session.api.delete(`/v1/wormholes/${pathId(args.id)}`);
    show(session, reply, () => [`Removed ${bodyOf<{ id: string }>(reply).id}.`]);
    return 'ok';
  },
});

/** A stored wormhole by its id or name, or a draft from a file: written as `@file` or `-`. */
async function subjectOf(given: string): Promise<{ id: string } | { draft: Record<string, unknown> }> {
  if (given === '-') return { draft: await readObjectFile('-') };
  return given.startsWith('@') ? { draft: await readObjectFile(given.slice(1)) } : { id: given };
}
const subject = {
  type: 'positional',
  required: true,
  description: 'Wormhole by id or name, or a draft: @FILE, - for stdin',
} as const;

const dryRunCommand = command({
  name: 'dry-run',
  about: 'Say whether it takes an event and what it would do; nothing is done',
  args: {
    subject,
    event: {
      type: 'string',
      valueHint: 'ID|@FILE',
      required: true,
      description: 'A recorded event, or a sample',
    },
  },
  run: async (session, args) => {
    const event = args.event.startsWith('@')
      ? { event: await readObjectFile(args.event.slice(1)) }
      : { eventId: args.event };
    const reply = await session.api.post('/v1/wormholes/dry-run', {
      ...(await subjectOf(args.subject)),
      ...event,
    });
    const said = bodyOf<WormholeDryRun>(reply);
    show(session, reply, () => [
      ...facts(session.out, [
        ['wormhole', said.wormhole.name],
        ['takes it', said.matched ? 'yes' : 'no'],
        ['would', said.would],
        ['because', said.why],
        ['effect', said.effect === null ? null : JSON.stringify(said.effect)],
      ]),
      ...said.notes,
    ]);
    return 'ok';
  },
});

function describeBackTest(out: Output, test: WormholeBackTest): string[] {
  const { outcomes, would, compared } = test;
  const kinds = Object.entries(would).filter(([, count]) => count > 0);
  const heads = ['EVENT', 'TYPE', 'OUTCOME', 'SAYS'];
  const rows = (compared?.samples ?? []).map(({ change, then, ...sample }) => [
    ...[sample.eventId, `${change} (then ${then ?? 'nothing'})`, sample.outcome, sample.says],
  ]);
  return [
    ...facts(out, [
      ['wormhole', test.wormhole.name],
      ['events', `${test.events}${test.window.complete ? '' : ', the newest of the time'}`],
      [
        'outcomes',
        Object.entries(outcomes)
          .map(([name, count]) => `${count} ${name}`)
          .join(', '),
      ],
      [
        'would make',
        kinds.length === 0 ? 'nothing' : kinds.map(([kind, count]) => `${count} ${kind}`).join(', '),
      ],
      ['beside the stored one', compared === null ? 'there is none' : describeChanges(compared)],
    ]),
    ...test.tasks.map(({ title, target, events }) => `  task ${title} (${target}): ${events} events`),
    ...table(
      out,
      heads,
      rows.length > 0
        ? rows
        : test.samples.map((sample) => [sample.eventId, sample.type, sample.outcome, sample.says]),
    ),
    ...test.notes.map((note) => out.paint('dim', note)),
  ];
}

function describeChanges({ same, changes }: NonNullable<WormholeBackTest['compared']>): string {
  return [`${same} the same`, ...Object.entries(changes).map(([name, count]) => `${count} ${name}`)].join(
    ', ',
  );
}

const backTestCommand = command({
  name: 'back-test',
  about: 'Run it over recorded events and say what would have come of them; nothing is done',
  args: {
    subject,
    last: {
      type: 'string',
      valueHint: 'N',
      description: 'The newest N events, at most 10000; 1000 unless given',
    },
    from: { type: 'string', valueHint: 'TIME', description: 'Events recorded from then on' },
    to: { type: 'string', valueHint: 'TIME', description: 'Events recorded until then' },
  },
  run: async (session, args) => {
    const { from, to } = args;
    const window = { from, to, last: readNumber('last', args.last) };
    const body = { ...(await subjectOf(args.subject)), ...window };
    const reply = await session.api.post('/v1/wormholes/back-test', body, {}, longMs);
    const test = bodyOf<WormholeBackTest>(reply);
    show(session, reply, () => describeBackTest(session.out, test));
    if (test.countsForEnabling)
      session.out.hint(`It may be enabled now: dreamnet wormhole enable ${test.wormhole.name}`);
    return 'ok';
  },
});

const resultsCommand = command({
  name: 'results',
  about: 'What became of the events it took in the last 7 days',
  args: {
    id,
    ...pageArgs,
    outcome: { type: 'enum', options: ['acted', 'folded', 'failed'], description: 'Only these' },
  },
  run: async (session, { id: given, limit, cursor, outcome }) => {
    const path = `/v1/wormholes/${pathId(given)}/results`;
    const reply = await session.api.get(path, { limit, cursor, outcome });
    const page = bodyOf<Page<WormholeResult>>(reply);
    const heads = ['AT', 'EVENT', 'OUTCOME', 'DETAIL'];
    const rows = page.items.map((row) => [
      ...[row.at, row.eventId, marked(row.outcome), wordsOf(row.detail)],
    ]);
    show(session, reply, () => (rows.length === 0 ? ['No results.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});

function wordsOf({ did, why, error, taskId }: WormholeResult['detail']): string {
  return [did ?? why ?? error ?? '', taskId === undefined ? '' : `(${taskId})`]
    .filter((part) => part !== '')
    .join(' ');
}

export const wormholeCommands: Record<string, CommandDef> = {
  list: listCommand,
  show: showCommand,
  create: createCommand,
  change: changeCommand,
  enable: enableCommand,
  disable: disableCommand,
  remove: removeCommand,
  'dry-run': dryRunCommand,
  'back-test': backTestCommand,
  results: resultsCommand,
};
