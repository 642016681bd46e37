import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { instant } from '../format.ts';
import { pathId } from '../ids.ts';
import { readList, readNumber } from '../input.ts';
import { facts, table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import type { Key } from '../access-views.ts';

const shownOnce = 'Keep the key now: it is shown once and stored nowhere.';
const ends = (at: string | null): string => (at === null ? 'never' : instant(at));

const listCommand = command({
  name: 'list',
  about: 'Keys, without their secrets: your own, or those of another principal',
  args: { principal: { type: 'string', valueHint: 'ID', description: 'Another principal' } },
  run: async (session, { principal }) => {
    const reply = await session.api.get('/v1/keys', { principalId: principal });
    const { items } = bodyOf<{ items: Key[] }>(reply);
    const heads = ['ID', 'LABEL', 'SCOPES', 'LAST USE', 'EXPIRES', 'STATUS'];
    const rows = items.map((key) => [
      ...[key.id, key.label, key.scopes === null ? 'all' : key.scopes.join(' ')],
      ...[key.lastUsedAt === null ? 'never' : instant(key.lastUsedAt), ends(key.expiresAt)],
      key.revokedAt === null ? 'valid' : 'revoked',
    ]);
    show(session, reply, () => (rows.length === 0 ? ['No keys.'] : table(session.out, heads, rows)));
    return 'ok';
  },
});

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
    scopes: {
      type: 'string',
      valueHint: 'A,B@TARGET',
      description: 'Permissions the key is cut down to; all of its principal without this',
    },
    'expires-in-days': {
      type: 'string',
      valueHint: 'N',
      description: 'Without this 365 for people, and no end for services and agents',
    },
  },
  run: async (session, args) => {
    const reply = await session.api.post('/v1/keys', {
      principalId: args.principal,
      label: args.label,
      scopes: args.scopes === undefined ? undefined : readList(args.scopes),
      expiresInDays: readNumber('expires-in-days', args['expires-in-days']),
    });
    const made = bodyOf<{ id: string; key: string; expiresAt: string | null }>(reply);
    show(session, reply, () =>
      facts(session.out, [
        ['id', made.id],
        ['key', made.key],
        ['expires', ends(made.expiresAt)],
      ]),
    );
    session.out.hint(shownOnce);
    return 'ok';
  },
});

const rotateCommand = command({
  name: 'rotate',
  about: 'Replace a key by a new one, which is shown once; the old one stays valid for a while',
  args: {
    id: { type: 'positional', required: true, description: 'Id of the key (`dreamnet key list`)' },
    'overlap-seconds': {
      type: 'string',
      valueHint: 'N',
      description: 'How long the old key stays valid: 3600 without this, at most 7 days',
    },
  },
  run: async (session, args) => {
    const overlapSeconds = readNumber('overlap-seconds', args['overlap-seconds']);
    const reply = await session.api.post(`/v1/keys/${pathId(args.id)}/rotate`, { overlapSeconds });
    const made = bodyOf<{ id: string; key: string; expiresAt: string | null; oldExpiresAt: string }>(reply);
    show(session, reply, () =>
      facts(session.out, [
        ['id', made.id],
        ['key', made.key],
        ['expires', ends(made.expiresAt)],
        ['the old one', `is valid until ${instant(made.oldExpiresAt)}`],
      ]),
    );
    session.out.hint(shownOnce);
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

export const keyCommands: Record<string, CommandDef> = {
  list: listCommand,
  issue: issueCommand,
  rotate: rotateCommand,
  revoke: revokeCommand,
};
