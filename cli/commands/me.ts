import { command } from '../command.ts';
import { instant } from '../format.ts';
import { facts } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import type { Me } from '../access-views.ts';

const ends = (at: string | null): string => (at === null ? 'without an end' : `until ${instant(at)}`);

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
        ['person', me.person === me.id ? null : me.person],
        ['agent', me.agentId],
        ['tier', me.tier],
        ['groups', me.groups.length === 0 ? null : me.groups.join(' ')],
        ...me.grants.map((grant): [string, string] => [
          'grant',
          `${grant.role} for ${grant.scope}, ${ends(grant.expiresAt)} (${grant.reason})`,
        ]),
        ['key', me.key === null ? null : `${me.key.id}, ${ends(me.key.expiresAt)}`],
        ['may', me.permissions.join(' ')],
      ]),
    );
    return 'ok';
  },
});
