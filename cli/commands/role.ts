import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { pathId } from '../ids.ts';
import type { Reply } from '../http.ts';
import { readList } from '../input.ts';
import { facts, table } from '../output.ts';
import { usage } from '../problem.ts';
import { bodyOf, type Session, show } from '../session.ts';
import type { Role } from '../access-views.ts';

const name = { type: 'positional', required: true, description: 'Name of the role' } as const;
const permissions = {
  type: 'string',
  valueHint: 'A,B@TARGET',
  description: 'What it permits: resource:action, with @TARGET or @BEGINNING* for some targets only',
} as const;
const description = { type: 'string', valueHint: 'TEXT', description: 'What it is for' } as const;

function showOne(session: Session, reply: Reply): void {
  const role = bodyOf<Role>(reply);
  show(session, reply, () =>
    facts(session.out, [
      ['role', role.name],
      ['for', role.description],
      ['may', role.permissions.join(' ')],
    ]),
  );
}

const listCommand = command({
  name: 'list',
  about: 'Roles and what they permit',
  args: {},
  run: async (session) => {
    const reply = await session.api.get('/v1/roles');
    const { items } = bodyOf<{ items: Role[] }>(reply);
    const rows = items.map((role) => [
      ...[role.name, role.builtIn ? 'built in' : 'created', role.description],
      role.permissions.join(' '),
    ]);
    show(session, reply, () => table(session.out, ['NAME', 'KIND', 'FOR', 'PERMISSIONS'], rows));
    return 'ok';
  },
});

const createCommand = command({
  name: 'create',
  about: 'Create a role of permissions that you hold yourself',
  args: {
    name,
    permissions: { ...permissions, required: true },
    description: { ...description, required: true },
  },
  run: async (session, args) => {
    const body = { name: args.name, description: args.description, permissions: readList(args.permissions) };
    showOne(session, await session.api.post('/v1/roles', body));
    return 'ok';
  },
});

const changeCommand = command({
  name: 'change',
  about: 'Change a role for everybody who has it',
  args: { name, permissions, description },
  run: async (session, args) => {
    if (args.permissions === undefined && args.description === undefined)
      throw usage('There is nothing to change: give --permissions or --description.');
    const reply = await session.api.patch(`/v1/roles/${pathId(args.name)}`, {
      description: args.description,
      permissions: args.permissions === undefined ? undefined : readList(args.permissions),
    });
    showOne(session, reply);
    return 'ok';
  },
});

const deleteCommand = command({
  name: 'delete',
  about: 'Remove a role that nobody has',
  args: { name },
  run: async (session, args) => {
    const reply = await session.api.delete(`/v1/roles/${pathId(args.name)}`);
    show(session, reply, () => [`The role ${args.name} is gone.`]);
    return 'ok';
  },
});

export const roleCommands: Record<string, CommandDef> = {
  list: listCommand,
  create: createCommand,
  change: changeCommand,
  delete: deleteCommand,
};
