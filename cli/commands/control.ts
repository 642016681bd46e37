import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { readNumber } from '../input.ts';
import { facts, table } from '../output.ts';
import { usage } from '../problem.ts';
import { bodyOf, show } from '../session.ts';
import type { Cluster } from '../access-views.ts';

function stateOf({ enabled, alwaysOn }: Cluster): string {
  if (alwaysOn) return 'always on';
  return enabled ? 'on' : 'off';
}

const listCommand = command({
  name: 'list',
  about: 'The parts of the API, and which are switched off, kept for a feature or limited',
  args: {},
  run: async (session) => {
    const reply = await session.api.get('/v1/control');
    const { items } = bodyOf<{ items: Cluster[] }>(reply);
    const rows = items.map((each) => [
      each.name,
      stateOf(each),
      each.requiredFeature ?? '-',
      each.perMinute === null ? '-' : String(each.perMinute),
      each.updatedBy ?? '-',
      each.reason ?? '-',
    ]);
    const heads = ['PART', 'STATE', 'FEATURE', 'PER MINUTE', 'BY', 'REASON'];
    show(session, reply, () => table(session.out, heads, rows));
    return 'ok';
  },
});

const setCommand = command({
  name: 'set',
  about: 'Switch a part of the API off or on, keep it for a feature, or limit it; acts within a second',
  args: {
    part: { type: 'positional', required: true, description: 'Its name (`dreamnet control list`)' },
    reason: { type: 'string', required: true, valueHint: 'TEXT', description: 'Why; callers are told' },
    on: { type: 'boolean', description: 'Switch it on' },
    off: { type: 'boolean', description: 'Switch it off' },
    feature: {
      type: 'string',
      valueHint: 'NAME',
      description: 'Only tiers with this feature; none: everyone',
    },
    'per-minute': {
      type: 'string',
      valueHint: 'N',
      description: 'Requests of one principal; none: no limit',
    },
  },
  run: async (session, { part, reason, on, off, feature, 'per-minute': limit }) => {
    if (on === true && off === true) throw usage('--on and --off exclude each other.', 'Give one of them.');
    const body = {
      reason,
      ...(on === true || off === true ? { enabled: on === true } : {}),
      ...(feature === undefined ? {} : { requiredFeature: feature === 'none' ? null : feature }),
      ...(limit === undefined
        ? {}
        : { perMinute: limit === 'none' ? null : readNumber('per-minute', limit) }),
    };
    if (Object.keys(body).length === 1)
      throw usage('Nothing is to be changed.', 'Give --on, --off, --feature or --per-minute.');
    const reply = await session.api.patch(`/v1/control/${encodeURIComponent(part)}`, body);
    const made = bodyOf<Cluster>(reply);
    show(session, reply, () =>
      facts(session.out, [
        ['part', made.name],
        ['state', stateOf(made)],
        ['feature', made.requiredFeature ?? 'none needed'],
        ['per minute', made.perMinute === null ? 'not limited here' : String(made.perMinute)],
      ]),
    );
    return 'ok';
  },
});

export const controlCommands: Record<string, CommandDef> = { list: listCommand, set: setCommand };
