import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { instant } from '../format.ts';
import type { Reply } from '../http.ts';
import { pathId } from '../ids.ts';
import { readNumber } from '../input.ts';
import { facts, table } from '../output.ts';
import { bodyOf, type Session, show } from '../session.ts';
import type { Autonomy } from '../halo-views.ts';

const pairArgs = {
  action: {
    type: 'positional',
    required: true,
    description: 'Type of the task, such as repair.api.endpoint',
  },
  class: { type: 'positional', required: true, description: 'Class of targets, such as probe' },
  reason: { type: 'string', required: true, valueHint: 'TEXT', description: 'Why' },
} as const;

function stateOf({ state, inForce, expiresAt }: Autonomy): string {
  if (state !== 'granted') return state;
  if (!inForce) return 'granted, but its time is over';
  return expiresAt === null ? 'granted' : `granted until ${instant(expiresAt)}`;
}

function showOne(session: Session, reply: Reply): void {
  const row = bodyOf<Autonomy>(reply);
  show(session, reply, () =>
    facts(session.out, [
      ['action', row.action],
      ['on', row.targetClass],
      ['state', stateOf(row)],
      ['because', row.withdrawnBecause ?? row.reason],
      ['helped', row.helped],
      ['did not help', row.failed],
      ['version', row.version],
    ]),
  );
}

const listCommand = command({
  name: 'list',
  about: 'How far each action has earned to go without a question each time',
  args: {},
  run: async (session) => {
    const reply = await session.api.get('/v1/autonomy');
    const { items } = bodyOf<{ items: Autonomy[] }>(reply);
    const heads = ['ACTION', 'ON', 'STATE', 'HELPED', 'IN A ROW', 'DID NOT', 'VERSION'];
    const rows = items.map((row) => [
      ...[row.action, row.targetClass, stateOf(row), String(row.helped)],
      ...[String(row.streak), String(row.failed), String(row.version)],
    ]);
    show(session, reply, () =>
      rows.length === 0 ? ['No repair was judged yet.'] : table(session.out, heads, rows),
    );
    return 'ok';
  },
});

const grantCommand = command({
  name: 'grant',
  about: 'Let a suggested action go without a question each time; one repair that does not help ends it',
  args: {
    ...pairArgs,
    version: { type: 'string', required: true, valueHint: 'N', description: 'As `autonomy list` shows it' },
    'expires-in-seconds': {
      type: 'string',
      valueHint: 'N',
      description: 'It counts until withdrawn without this',
    },
  },
  run: async (session, args) => {
    const version = readNumber('version', args.version);
    const expiresInSeconds = readNumber('expires-in-seconds', args['expires-in-seconds']);
    const path = `/v1/autonomy/${pathId(args.action)}/${pathId(args.class)}/grant`;
    showOne(session, await session.api.post(path, { version, reason: args.reason, expiresInSeconds }));
    return 'ok';
  },
});

const withdrawCommand = command({
  name: 'withdraw',
  about: 'Ask people each time again',
  args: pairArgs,
  run: async (session, args) => {
    const path = `/v1/autonomy/${pathId(args.action)}/${pathId(args.class)}/withdraw`;
    showOne(session, await session.api.post(path, { reason: args.reason }));
    return 'ok';
  },
});

export const autonomyCommands: Record<string, CommandDef> = {
  list: listCommand,
  grant: grantCommand,
  withdraw: withdrawCommand,
};
