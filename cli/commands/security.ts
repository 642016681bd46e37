import type { CommandDef } from 'citty';
import { threatStates } from '../../domain/shield.ts';
import { command } from '../command.ts';
import { hintMore, instant, marked, pageArgs } from '../format.ts';
import { pathId } from '../ids.ts';
import { readNumber } from '../input.ts';
import { facts, table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import type { Block, Threat } from '../access-views.ts';
import type { Page } from '../views.ts';

function subjectText({ kind, id, address }: Threat['subject']): string {
  return address === null ? `${kind} ${id}` : `${kind} ${id} at ${address}`;
}

const reason = {
  type: 'string',
  required: true,
  valueHint: 'TEXT',
  description: 'Why; it is kept in the audit',
} as const;

const threatsCommand = command({
  name: 'threats',
  about: 'What Shield saw that looks like an attack, newest first',
  args: {
    state: {
      type: 'enum',
      options: [...threatStates],
      description: 'Only those in this state',
    },
    ...pageArgs,
  },
  run: async (session, { state, limit, cursor }) => {
    const reply = await session.api.get('/v1/security/threats', { state, limit, cursor });
    const page = bodyOf<Page<Threat>>(reply);
    const rows = page.items.map((each) => [
      each.id,
      each.kind,
      marked(each.severity),
      subjectText(each.subject),
      String(each.count),
      each.state,
      instant(each.lastAt),
    ]);
    const heads = ['ID', 'KIND', 'SEVERITY', 'SUBJECT', 'COUNT', 'STATE', 'LAST'];
    show(session, reply, () => table(session.out, heads, rows));
    hintMore(session, page);
    return 'ok';
  },
});

const closeCommand = command({
  name: 'close',
  about: 'Close a threat that was looked into; its block stays until its end',
  args: { id: { type: 'positional', required: true, description: 'Id of the threat' }, reason },
  run: async (session, { id, reason: why }) => {
    const reply = await session.api.post(`/v1/security/threats/${pathId(id)}/close`, { reason: why });
    show(session, reply, () => [`Threat ${id} is closed.`]);
    return 'ok';
  },
});

function blockRow({ id, subject, until, inForce, placedBy, reason: why }: Block): string[] {
  return [id, subjectText(subject), instant(until), inForce ? 'in force' : 'over', placedBy, why];
}
const blockHeads = ['ID', 'SUBJECT', 'UNTIL', 'STATE', 'BY', 'REASON'];

const blocksCommand = command({
  name: 'blocks',
  about: 'Who is or was refused for a time, newest first',
  args: { 'in-force': { type: 'boolean', description: 'Only those that count now' }, ...pageArgs },
  run: async (session, { 'in-force': inForce, limit, cursor }) => {
    const query = { limit, cursor, ...(inForce === true ? { inForce: 'true' } : {}) };
    const reply = await session.api.get('/v1/security/blocks', query);
    const page = bodyOf<Page<Block>>(reply);
    show(session, reply, () => table(session.out, blockHeads, page.items.map(blockRow)));
    hintMore(session, page);
    return 'ok';
  },
});

const blockCommand = command({
  name: 'block',
  about: 'Refuse an address, a key or a principal for a time; acts within a second',
  args: {
    kind: {
      type: 'enum',
      required: true,
      options: ['address', 'key', 'principal'],
      description: 'What is refused',
    },
    id: { type: 'positional', required: true, description: 'The address, or the id' },
    minutes: { type: 'string', required: true, valueHint: 'N', description: 'For how long' },
    reason,
  },
  run: async (session, { kind, id, minutes, reason: why }) => {
    const body = { subject: { kind, id }, minutes: readNumber('minutes', minutes), reason: why };
    const reply = await session.api.post('/v1/security/blocks', body);
    show(session, reply, () => table(session.out, blockHeads, [blockRow(bodyOf<Block>(reply))]));
    return 'ok';
  },
});

const liftCommand = command({
  name: 'lift',
  about: 'End a block before its time',
  args: { id: { type: 'positional', required: true, description: 'Id of the block' }, reason },
  run: async (session, { id, reason: why }) => {
    const reply = await session.api.post(`/v1/security/blocks/${pathId(id)}/lift`, { reason: why });
    show(session, reply, () => [`Block ${id} is lifted.`]);
    return 'ok';
  },
});

const riskCommand = command({
  name: 'risk',
  about: 'How risky it is to let a principal decide, and why',
  args: { id: { type: 'positional', required: true, description: 'Id of the principal' } },
  run: async (session, { id }) => {
    const reply = await session.api.get(`/v1/principals/${pathId(id)}/risk`);
    const { score, mayDecideHighRisk, signals } = bodyOf<{
      score: number;
      mayDecideHighRisk: boolean;
      signals: { failedLogins: number; denials: number; refusals: number; activeThreats: object };
    }>(reply);
    show(session, reply, () =>
      facts(session.out, [
        ['score', `${score} of 100`],
        ['high risk', mayDecideHighRisk ? 'may decide' : 'may not decide'],
        ['failed logins', String(signals.failedLogins)],
        ['denials', String(signals.denials)],
        ['refusals', String(signals.refusals)],
        ['threats', JSON.stringify(signals.activeThreats)],
      ]),
    );
    return 'ok';
  },
});

export const securityCommands: Record<string, CommandDef> = {
  threats: threatsCommand,
  close: closeCommand,
  blocks: blocksCommand,
  block: blockCommand,
  lift: liftCommand,
  risk: riskCommand,
};
