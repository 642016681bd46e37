import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { instant } from '../format.ts';
import { pathId } from '../ids.ts';
import { readNumber } from '../input.ts';
import type { Reply } from '../http.ts';
import { facts, table } from '../output.ts';
import { bodyOf, type Session, show } from '../session.ts';
import type { Grant } from '../access-views.ts';

const principal = { type: 'positional', required: true, description: 'Id of the principal' } as const;
const ends = (grant: Grant): string =>
  grant.revokedAt !== null
    ? `revoked ${instant(grant.revokedAt)}`
    : grant.expiresAt === null
      ? 'until revoked'
      : `until ${instant(grant.expiresAt)}`;

function showOne(session: Session, reply: Reply): void {
  const grant = bodyOf<Grant>(reply);
  show(session, reply, () =>
    facts(session.out, [
      ['grant', grant.id],
      ['to', grant.principalId],
      ['role', `${grant.role} for ${grant.scope}`],
      ['because', grant.reason],
      ['counts', ends(grant)],
    ]),
  );
}

const createCommand = command({
  name: 'create',
  about: 'Give a principal a further role',
  args: {
    principal,
    role: { type: 'string', required: true, valueHint: 'ROLE', description: 'Which role' },
    scope: {
      type: 'string',
      valueHint: 'TARGET',
      description: 'For this target, or BEGINNING*; for all without it',
    },
    reason: { type: 'string', required: true, valueHint: 'TEXT', description: 'Why' },
    'expires-in-seconds': {
      type: 'string',
      valueHint: 'N',
      description: 'It counts until revoked without this',
    },
  },
  run: async (session, args) => {
    const { role, scope, reason } = args;
    const expiresInSeconds = readNumber('expires-in-seconds', args['expires-in-seconds']);
    const body = { principalId: args.principal, role, scope, reason, expiresInSeconds };
    showOne(session, await session.api.post('/v1/grants', body));
    return 'ok';
  },
});

const revokeCommand = command({
  name: 'revoke',
  about: 'Take a grant back; it counts no more from the next request on',
  args: { id: { type: 'positional', required: true, description: 'Id of the grant' } },
  run: async (session, { id }) => {
    showOne(session, await session.api.post(`/v1/grants/${pathId(id)}/revoke`, {}));
    return 'ok';
  },
});

const listCommand = command({
  name: 'list',
  about: 'The grants of a principal',
  args: { principal },
  run: async (session, args) => {
    const reply = await session.api.get('/v1/grants', { principalId: args.principal });
    const { items } = bodyOf<{ items: Grant[] }>(reply);
    const rows = items.map((grant) => [grant.id, grant.role, grant.scope, ends(grant), grant.reason]);
    const heads = ['ID', 'ROLE', 'SCOPE', 'COUNTS', 'REASON'];
    show(session, reply, () => (rows.length === 0 ? ['No grants.'] : table(session.out, heads, rows)));
    return 'ok';
  },
});

export const grantCommands: Record<string, CommandDef> = {
  create: createCommand,
  revoke: revokeCommand,
  list: listCommand,
};
