import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { hintMore, pageArgs } from '../format.ts';
import { pathId } from '../ids.ts';
import type { Reply } from '../http.ts';
import { facts, table } from '../output.ts';
import { bodyOf, type Session, show } from '../session.ts';
import type { Group } from '../access-views.ts';
import type { Page } from '../views.ts';

const name = { type: 'positional', required: true, description: 'Name of the group' } as const;
const membersOf = (group: Group): string => group.members.map(({ principalId }) => principalId).join(' ');

function showOne(session: Session, reply: Reply): void {
  const group = bodyOf<Group>(reply);
  show(session, reply, () =>
    facts(session.out, [
      ['group', group.name],
      ['for', group.description],
      ['members', membersOf(group)],
    ]),
  );
}

const listCommand = command({
  name: 'list',
  about: 'Groups and who is in them',
  args: pageArgs,
  run: async (session, { limit, cursor }) => {
    const reply = await session.api.get('/v1/groups', { limit, cursor });
    const page = bodyOf<Page<Group>>(reply);
    const rows = page.items.map((group) => [group.name, group.description, membersOf(group)]);
    const heads = ['NAME', 'FOR', 'MEMBERS'];
    show(session, reply, () => (rows.length === 0 ? ['No groups.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});

const createCommand = command({
  name: 'create',
  about: 'Create a group',
  args: {
    name,
    description: { type: 'string', required: true, valueHint: 'TEXT', description: 'What it is for' },
  },
  run: async (session, args) => {
    showOne(
      session,
      await session.api.post('/v1/groups', { name: args.name, description: args.description }),
    );
    return 'ok';
  },
});

function memberCommand(verb: 'add' | 'remove', about: string): CommandDef {
  return command({
    name: verb,
    about,
    args: { name, principal: { type: 'positional', required: true, description: 'Id of the principal' } },
    run: async (session, args) => {
      const path = `/v1/groups/${pathId(args.name)}/members${verb === 'add' ? '' : '/remove'}`;
      showOne(session, await session.api.post(path, { principalId: args.principal }));
      return 'ok';
    },
  });
}

export const groupCommands: Record<string, CommandDef> = {
  list: listCommand,
  create: createCommand,
  add: memberCommand('add', 'Add a member; who did it and when is kept'),
  remove: memberCommand('remove', 'Take a member out'),
};
