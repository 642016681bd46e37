import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { readList, readNumber } from '../input.ts';
import { table } from '../output.ts';
import { usage } from '../problem.ts';
import { bodyOf, show } from '../session.ts';
import type { Tier } from '../access-views.ts';

const heads = ['TIER', 'PER MINUTE', 'EVENTS', 'BYTES OF EVENTS', 'FEATURES'];

function rowOf({ name, perMinute, eventsPerMinute, bytesPerMinute, features }: Tier): string[] {
  const limits = [perMinute, eventsPerMinute, bytesPerMinute];
  return [
    name,
    ...limits.map((limit) => (limit === null ? 'no limit' : String(limit))),
    features.join(', ') || '-',
  ];
}

const listCommand = command({
  name: 'list',
  about: 'The tiers, lowest first; limits are for a minute',
  args: {},
  run: async (session) => {
    const reply = await session.api.get('/v1/tiers');
    const { items } = bodyOf<{ items: Tier[] }>(reply);
    show(session, reply, () => table(session.out, heads, items.map(rowOf)));
    return 'ok';
  },
});

const limit = (what: string) =>
  ({ type: 'string', valueHint: 'N', description: `${what} in a minute; none: no limit` }) as const;

const setCommand = command({
  name: 'set',
  about: 'Make a tier, or change what is given of one; acts within a second',
  args: {
    name: { type: 'positional', required: true, description: 'Name of the tier' },
    'per-minute': limit('Requests'),
    events: limit('Events'),
    bytes: limit('Bytes of events'),
    features: { type: 'string', valueHint: 'A,B', description: 'All of its features; none: without any' },
  },
  run: async (session, args) => {
    const { items } = bodyOf<{ items: Tier[] }>(await session.api.get('/v1/tiers'));
    const known = items.find((each) => each.name === args.name);
    const numberOf = (option: 'per-minute' | 'events' | 'bytes', before: number | null | undefined) => {
      const given = args[option];
      if (given === 'none') return null;
      const value = readNumber(option, given) ?? before;
      if (value === undefined)
        throw usage(`There is no tier "${args.name}" yet, so --${option} is needed.`, 'Give N or none.');
      return value;
    };
    const body = {
      perMinute: numberOf('per-minute', known?.perMinute),
      eventsPerMinute: numberOf('events', known?.eventsPerMinute),
      bytesPerMinute: numberOf('bytes', known?.bytesPerMinute),
      features:
        args.features === undefined
          ? (known?.features ?? [])
          : readList(args.features === 'none' ? '' : args.features),
    };
    const reply = await session.api.put(`/v1/tiers/${encodeURIComponent(args.name)}`, body);
    show(session, reply, () => table(session.out, heads, [rowOf(bodyOf<Tier>(reply))]));
    return 'ok';
  },
});

export const tierCommands: Record<string, CommandDef> = { list: listCommand, set: setCommand };
