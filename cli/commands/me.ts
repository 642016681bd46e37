import { command } from '../command.ts';
import { facts } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import type { Me } from '../views.ts';

export const meCommand = command({
  name: 'me',
  about: 'Whose key this is, and what it may do',
  args: {},
  run: async (session) => {
    const reply = await session.api.get('/v1/me');
    const me = bodyOf<Me>(reply);
    show(session, reply, () =>
      facts(session.out, [
        ['principal', `${me.id} (${me.kind})`],
        ['name', me.name],
        ['role', me.role],
        ['agent', me.agentId],
        ['may', me.permissions.join(' ')],
      ]),
    );
    return 'ok';
  },
});
