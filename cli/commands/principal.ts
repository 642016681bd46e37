import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { hintMore, pageArgs } from '../format.ts';
import { facts, table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import type { Page, Principal } from '../views.ts';

const listCommand = command({
  name: 'list',
  about: 'People, services and agents that may hold keys',
  args: pageArgs,
  run: async (session, { limit, cursor }) => {
    const reply = await session.api.get('/v1/principals', { limit, cursor });
    const page = bodyOf<Page<Principal>>(reply);
    const rows = page.items.map(({ id, name, kind, role, status }) => [id, name, kind, role, status]);
    show(session, reply, () => table(session.out, ['ID', 'NAME', 'KIND', 'ROLE', 'STATUS'], rows));
    hintMore(session, page);
    return 'ok';
  },
});

const createCommand = command({
  name: 'create',
  about: 'Create a person or a service',
  args: {
    name: { type: 'positional', required: true, description: 'Name' },
    role: {
      type: 'enum',
      required: true,
      options: ['admin', 'operator', 'viewer'],
      description: 'What it may do',
    },
    kind: {
      type: 'enum',
      options: ['human', 'service'],
      description: 'human unless given; only people decide',
    },
  },
  run: async (session, { name, role, kind }) => {
    const reply = await session.api.post('/v1/principals', { name, role, kind });
    const made = bodyOf<Principal>(reply);
    show(session, reply, () =>
      facts(session.out, [
        ['principal', made.id],
        ['name', made.name],
        ['role', `${made.role} (${made.kind})`],
      ]),
    );
    session.out.hint(`It has no key yet: dreamnet key issue ${made.id}`);
    return 'ok';
  },
});

export const principalCommands: Record<string, CommandDef> = { list: listCommand, create: createCommand };
