import type { CommandDef } from 'citty';
import { taskRoles } from '../../domain/task.ts';
import { command } from '../command.ts';
import { hintMore, marked, pageArgs } from '../format.ts';
import type { Reply } from '../http.ts';
import { pathId } from '../ids.ts';
import { facts, table } from '../output.ts';
import { bodyOf, type Session, show } from '../session.ts';
import type { Page, Squad } from '../views.ts';

const name = { type: 'positional', required: true, description: 'Name of the squad' } as const;
const agent = { type: 'positional', required: true, description: 'Id of the agent' } as const;
const description = { type: 'string', valueHint: 'TEXT', description: 'What it is for' } as const;

const percent = (share: number | null): string => (share === null ? '-' : `${Math.round(share * 100)}%`);
const loadOf = ({ load }: Squad): string => `${load.running} of ${load.places} places`;

function showOne(session: Session, reply: Reply): void {
  const squad = bodyOf<Squad>(reply);
  show(session, reply, () => [
    ...facts(session.out, [
      ['squad', squad.name],
      ['for', squad.description],
      ['leader', squad.leader],
      ['load', `${loadOf(squad)}, ${squad.load.openTasks} open tasks`],
      ['success, 7 days', percent(squad.successShare)],
    ]),
    ...(squad.members.length === 0
      ? ['No members.']
      : table(
          session.out,
          ['AGENT', 'NAME', 'ROLE', 'STATE', 'LOAD', 'SUCCESS'],
          squad.members.map((member) => [
            ...[member.agentId, member.name, member.role, marked(member.state)],
            `${member.running}/${member.maxConcurrency}`,
            percent(member.successShare),
          ]),
        )),
  ]);
}

const listCommand = command({
  name: 'list',
  about: 'Squads with their load and success',
  args: pageArgs,
  run: async (session, { limit, cursor }) => {
    const reply = await session.api.get('/v1/squads', { limit, cursor });
    const page = bodyOf<Page<Squad>>(reply);
    const rows = page.items.map((squad) => [
      ...[squad.name, squad.description, squad.leader ?? '-', String(squad.members.length)],
      ...[loadOf(squad), percent(squad.successShare)],
    ]);
    const heads = ['NAME', 'FOR', 'LEADER', 'MEMBERS', 'LOAD', 'SUCCESS'];
    show(session, reply, () => (rows.length === 0 ? ['No squads.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});

const showCommand = command({
  name: 'show',
  about: 'A squad with its members',
  args: { name },
  run: async (session, args) => {
    showOne(session, await session.api.get(`/v1/squads/${pathId(args.name)}`));
    return 'ok';
  },
});

const createCommand = command({
  name: 'create',
  about: 'Create a squad; its members are preferred for its tasks',
  args: { name, description: { ...description, required: true } },
  run: async (session, args) => {
    const { name, description } = args;
    showOne(session, await session.api.post('/v1/squads', { name, description }));
    return 'ok';
  },
});

const changeCommand = command({
  name: 'change',
  about: 'Describe a squad anew',
  args: { name, description: { ...description, required: true } },
  run: async (session, args) => {
    const path = `/v1/squads/${pathId(args.name)}`;
    showOne(session, await session.api.patch(path, { description: args.description }));
    return 'ok';
  },
});

const addCommand = command({
  name: 'add',
  about: 'Take an agent in, or give a member another role',
  args: {
    ...{ name, agent },
    role: { type: 'enum', required: true, options: [...taskRoles], description: 'Its role in the squad' },
  },
  run: async (session, args) => {
    const path = `/v1/squads/${pathId(args.name)}/members`;
    showOne(session, await session.api.post(path, { agentId: args.agent, role: args.role }));
    return 'ok';
  },
});

const removeCommand = command({
  name: 'remove',
  about: 'Let a member go',
  args: { name, agent },
  run: async (session, args) => {
    const path = `/v1/squads/${pathId(args.name)}/members/remove`;
    showOne(session, await session.api.post(path, { agentId: args.agent }));
    return 'ok';
  },
});

const leaderCommand = command({
  name: 'leader',
  about: 'Say which member leads the squad; none with -',
  args: { name, agent: { ...agent, description: 'Id of the agent, or - for none' } },
  run: async (session, args) => {
    const path = `/v1/squads/${pathId(args.name)}`;
    showOne(session, await session.api.patch(path, { leader: args.agent === '-' ? null : args.agent }));
    return 'ok';
  },
});

const deleteCommand = command({
  name: 'delete',
  about: 'Delete a squad that has no open task',
  args: { name },
  run: async (session, args) => {
    const reply = await session.api.delete(`/v1/squads/${pathId(args.name)}`);
    show(session, reply, () => [`deleted ${bodyOf<{ name: string }>(reply).name}`]);
    return 'ok';
  },
});

export const squadCommands: Record<string, CommandDef> = {
  list: listCommand,
  show: showCommand,
  create: createCommand,
  change: changeCommand,
  add: addCommand,
  remove: removeCommand,
  leader: leaderCommand,
  delete: deleteCommand,
};
