import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { instant } from '../format.ts';
import { pathId } from '../ids.ts';
import { readNumber } from '../input.ts';
import { facts } from '../output.ts';
import { bodyOf, show } from '../session.ts';

const issueCommand = command({
  name: 'issue',
  about: 'Issue a key; it is shown once',
  args: {
    principal: {
      type: 'positional',
      required: true,
      description: 'Id of the principal (`dreamnet principal list`)',
    },
    label: {
      type: 'string',
      default: 'issued by dreamnet',
      valueHint: 'TEXT',
      description: 'What it is for',
    },
    'expires-in-days': { type: 'string', valueHint: 'N', description: 'It never expires without this' },
  },
  run: async (session, args) => {
    const reply = await session.api.post('/v1/keys', {
      principalId: args.principal,
      label: args.label,
      expiresInDays: readNumber('expires-in-days', args['expires-in-days']),
    });
    const made = bodyOf<{ id: string; key: string; expiresAt: string | null }>(reply);
    show(session, reply, () =>
      facts(session.out, [
        ['id', made.id],
        ['key', made.key],
        ['expires', made.expiresAt === null ? 'never' : instant(made.expiresAt)],
      ]),
    );
    session.out.hint('Keep the key now: it is shown once and stored nowhere.');
    return 'ok';
  },
});

const revokeCommand = command({
  name: 'revoke',
  about: 'Revoke a key; it is refused from the next request on',
  args: { id: { type: 'positional', required: true, description: 'Id of the key' } },
  run: async (session, { id }) => {
    const reply = await session.api.post(`/v1/keys/${pathId(id)}/revoke`, {});
    show(session, reply, () => [`Key ${id} is revoked.`]);
    return 'ok';
  },
});

export const keyCommands: Record<string, CommandDef> = { issue: issueCommand, revoke: revokeCommand };
