import type { CommandDef } from 'citty';
import { severities } from '../../domain/events.ts';
import { hookForms, hookSchemes } from '../../domain/hook.ts';
import { command } from '../command.ts';
import { hintMore, instant, marked, pageArgs } from '../format.ts';
import { pathId } from '../ids.ts';
import { readNumber, readObject, readSecret } from '../input.ts';
import { facts, type Output, table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import { switchCommands } from '../switch-commands.ts';
import type { Hook } from '../bus-views.ts';
import type { Page } from '../views.ts';

const id = { type: 'positional', required: true, description: 'Hook' } as const;
const secret = {
  type: 'string',
  valueHint: '@FILE|-',
  description: 'The secret that the sender made, from a file or stdin; one is made here unless given',
} as const;

function describeHook(out: Output, hook: Hook): string[] {
  return facts(out, [
    ['hook', hook.id],
    ['name', hook.name],
    ['post to', hook.path],
    ['scheme', hook.scheme],
    ['becomes', hook.form === 'event' ? 'the event that was sent' : `${hook.eventType} (${hook.severity})`],
    ['limit', `${hook.perMinute} a minute`],
    ['state', hook.enabled ? 'enabled' : 'disabled'],
  ]);
}

const listCommand = command({
  name: 'list',
  about: 'Hooks, and what they took and refused',
  args: pageArgs,
  run: async (session, { limit, cursor }) => {
    const reply = await session.api.get('/v1/hooks', { limit, cursor });
    const page = bodyOf<Page<Hook>>(reply);
    const heads = ['ID', 'NAME', 'SCHEME', 'STATE', 'TYPE', 'TAKEN', 'REFUSED', 'LAST'];
    const rows = page.items.map((hook) => [
      ...[hook.id, hook.name, hook.scheme, marked(hook.enabled ? 'ok' : 'disabled')],
      ...[hook.form === 'event' ? '(its own)' : hook.eventType, String(hook.received), String(hook.refused)],
      hook.lastReceivedAt === null ? '' : instant(hook.lastReceivedAt),
    ]);
    show(session, reply, () => (rows.length === 0 ? ['No hooks.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});

const createCommand = command({
  name: 'create',
  about: 'Open a door for signed messages; each becomes an event, once',
  args: {
    name: { type: 'positional', required: true, description: 'Name of the hook, such as ci-builds' },
    type: {
      type: 'string',
      required: true,
      valueHint: 'TYPE',
      description: 'Type of its events, or the beginning of it',
    },
    scheme: {
      type: 'enum',
      options: [...hookSchemes],
      description: 'standard-webhooks unless given',
    },
    form: {
      type: 'enum',
      options: [...hookForms],
      description: 'event: takes events of another DreamNet; payload unless given',
    },
    severity: {
      type: 'enum',
      options: [...severities],
      description: 'info unless given or mapped',
    },
    mapping: {
      type: 'string',
      valueHint: '@FILE|-|JSON',
      description: 'Where the body says type, severity and correlationId: {"severity": "alert.level"}',
    },
    'per-minute': { type: 'string', valueHint: 'N', description: 'Messages it takes; 600 unless given' },
    secret,
  },
  run: async (session, args) => {
    const reply = await session.api.post('/v1/hooks', {
      name: args.name,
      eventType: args.type,
      scheme: args.scheme,
      form: args.form,
      severity: args.severity,
      mapping: args.mapping === undefined ? undefined : await readObject('mapping', args.mapping),
      perMinute: readNumber('per-minute', args['per-minute']),
      secret: args.secret === undefined ? undefined : await readSecret('secret', args.secret),
    });
    const made = bodyOf<{ hook: Hook; secret: string | null }>(reply);
    show(session, reply, () => [
      ...describeHook(session.out, made.hook),
      ...facts(session.out, [['secret', made.secret]]),
    ]);
    if (made.secret !== null) session.out.hint('Give the secret to the sender now: it is shown once.');
    return 'ok';
  },
});

const rotateCommand = command({
  name: 'rotate',
  about: 'Give a hook a new secret; the old one counts too until the overlap is over',
  args: {
    id,
    overlap: { type: 'string', valueHint: 'SECONDS', description: '86400 unless given' },
    secret,
  },
  run: async (session, args) => {
    const reply = await session.api.post(`/v1/hooks/${pathId(args.id)}/rotate-secret`, {
      overlapSeconds: readNumber('overlap', args.overlap),
      secret: args.secret === undefined ? undefined : await readSecret('secret', args.secret),
    });
    const made = bodyOf<{ hook: Hook; secret: string | null }>(reply);
    show(session, reply, () => [
      ...describeHook(session.out, made.hook),
      ...facts(session.out, [['secret', made.secret]]),
    ]);
    if (made.secret !== null) session.out.hint('Give it to the sender now: it is shown once.');
    return 'ok';
  },
});

const removeCommand = command({
  name: 'remove',
  about: 'Remove a hook for good; its events stay',
  args: { id },
  run: async (session, args) => {
    const reply = await session.api.delete(`/v1/hooks/${pathId(args.id)}`);
    show(session, reply, () => [`${args.id} is gone.`]);
    return 'ok';
  },
});

export const hookCommands: Record<string, CommandDef> = {
  list: listCommand,
  create: createCommand,
  rotate: rotateCommand,
  ...switchCommands({
    ...{ path: '/v1/hooks', word: { id } },
    about: { enable: 'Switch a hook on', disable: 'Switch it off: nothing more is taken' },
    lines: (session, reply) => describeHook(session.out, bodyOf<Hook>(reply)),
  }),
  remove: removeCommand,
};
