import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { hintMore, instant, pageArgs } from '../format.ts';
import { pathId } from '../ids.ts';
import { facts, type Output, table } from '../output.ts';
import { usage } from '../problem.ts';
import { bodyOf, type Session, show } from '../session.ts';
import { switchCommands } from '../switch-commands.ts';
import type { Reply } from '../http.ts';
import type { Principal } from '../access-views.ts';
import type { Page } from '../views.ts';

const id = { type: 'positional', required: true, description: 'Id of the principal' } as const;
const role = {
  type: 'string',
  valueHint: 'ROLE',
  description: 'What it may do (`dreamnet role list`)',
} as const;
const tier = { type: 'string', valueHint: 'TIER', description: 'Which limits it has' } as const;
const login = {
  type: 'string',
  valueHint: 'ISSUER|SUB',
  description: 'Its login at the identity provider, as a refused login says it',
} as const;

function describePrincipal(out: Output, one: Principal): string[] {
  return facts(out, [
    ['principal', one.id],
    ['name', one.name],
    ['role', `${one.role} (${one.kind})`],
    ['given', `${instant(one.roleSince)} by ${one.roleBy ?? 'the system'}`],
    ['owner', one.owner],
    ['tier', one.tier],
    ['login', one.oidcSubject],
    ['status', one.status],
  ]);
}

function showOne(session: Session, reply: Reply): void {
  show(session, reply, () => describePrincipal(session.out, bodyOf<Principal>(reply)));
}

const listCommand = command({
  name: 'list',
  about: 'People, services and agents that may hold keys',
  args: pageArgs,
  run: async (session, { limit, cursor }) => {
    const reply = await session.api.get('/v1/principals', { limit, cursor });
    const page = bodyOf<Page<Principal>>(reply);
    const heads = ['ID', 'NAME', 'KIND', 'ROLE', 'TIER', 'STATUS'];
    const rows = page.items.map((one) => [one.id, one.name, one.kind, one.role, one.tier, one.status]);
    show(session, reply, () => table(session.out, heads, rows));
    hintMore(session, page);
    return 'ok';
  },
});

const showCommand = command({
  name: 'show',
  about: 'One principal',
  args: { id },
  run: async (session, args) => {
    showOne(session, await session.api.get(`/v1/principals/${pathId(args.id)}`));
    return 'ok';
  },
});

const createCommand = command({
  name: 'create',
  about: 'Create a person or a service',
  args: {
    name: { type: 'positional', required: true, description: 'Name' },
    role: { ...role, required: true },
    kind: {
      type: 'enum',
      options: ['human', 'service'],
      description: 'human unless given; only people decide',
    },
    owner: { type: 'string', valueHint: 'ID', description: 'The person who answers for a service' },
    tier,
    'oidc-subject': login,
  },
  run: async (session, { name, role, kind, owner, tier, 'oidc-subject': oidcSubject }) => {
    const reply = await session.api.post('/v1/principals', { name, role, kind, owner, tier, oidcSubject });
    showOne(session, reply);
    session.out.hint(`It has no key yet: dreamnet key issue ${bodyOf<Principal>(reply).id}`);
    return 'ok';
  },
});

const setCommand = command({
  name: 'set',
  about: 'Change the role, tier or login of a principal',
  args: {
    id,
    role,
    tier,
    'oidc-subject': { ...login, description: `${login.description}; "none" takes it away` },
  },
  run: async (session, args) => {
    const given = args['oidc-subject'];
    const oidcSubject = given === 'none' ? null : given;
    if ([args.role, args.tier, given].every((value) => value === undefined))
      throw usage('There is nothing to change: give --role, --tier or --oidc-subject.');
    const body = { role: args.role, tier: args.tier, oidcSubject };
    showOne(session, await session.api.patch(`/v1/principals/${pathId(args.id)}`, body));
    return 'ok';
  },
});

export const principalCommands: Record<string, CommandDef> = {
  list: listCommand,
  show: showCommand,
  create: createCommand,
  set: setCommand,
  ...switchCommands({
    ...{ path: '/v1/principals', word: { id } },
    about: {
      enable: 'Let its keys and its login open the door again',
      disable: 'Refuse its keys and its login from the next request on',
    },
    lines: (session, reply) => describePrincipal(session.out, bodyOf<Principal>(reply)),
  }),
};
