import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { hintMore, instant, pageArgs } from '../format.ts';
import { pathId } from '../ids.ts';
import { readList, readNumber } from '../input.ts';
import type { MemoryHistory, MemoryRecord } from '../memory-views.ts';
import { facts, type Output, table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import type { Page } from '../views.ts';
import { exportCommand, filterArgs, importCommand } from './memory-transfer.ts';

const entity = {
  type: 'positional',
  required: true,
  description: 'KIND:ID, such as agent:agt_1; kinds are agent, squad, endpoint, spore',
} as const;
const reason = {
  type: 'string',
  required: true,
  valueHint: 'TEXT',
  description: 'Why; it is audited',
} as const;

const traitList = (values: Record<string, number>): string =>
  Object.entries(values)
    .map(([trait, value]) => `${trait} ${value.toFixed(2)}`)
    .join(', ');

function describe(out: Output, record: MemoryRecord): string[] {
  return facts(out, [
    ['entity', record.entity],
    ['traits', traitList(record.traits) || '(none)'],
    ['tags', record.tags.join(', ') || '(none)'],
    ['parent', record.parent],
    ['changed', instant(record.updatedAt)],
    ['dna', record.dna],
  ]);
}

const listCommand = command({
  name: 'list',
  about: 'Records, by kind, tag, or a trait and its range',
  args: { ...filterArgs, ...pageArgs },
  run: async (session, { kind, tag, trait, min, max, limit, cursor }) => {
    const range = { min: readNumber('min', min), max: readNumber('max', max) };
    const reply = await session.api.get('/v1/memory', {
      ...{ kind, tag, trait, limit, cursor },
      ...{ min: range.min?.toString(), max: range.max?.toString() },
    });
    const page = bodyOf<Page<MemoryRecord>>(reply);
    const rows = page.items.map((record) => [
      ...[record.entity, traitList(record.traits), record.tags.join(', '), instant(record.updatedAt)],
    ]);
    show(session, reply, () =>
      rows.length === 0
        ? ['Nothing is remembered.']
        : table(session.out, ['ENTITY', 'TRAITS', 'TAGS', 'CHANGED'], rows),
    );
    hintMore(session, page);
    return 'ok';
  },
});

const showCommand = command({
  name: 'show',
  about: 'One record, and what moved it last',
  args: { entity },
  run: async (session, args) => {
    const reply = await session.api.get(`/v1/memory/${pathId(args.entity)}`);
    const { record, history } = bodyOf<{ record: MemoryRecord; history: MemoryHistory[] }>(reply);
    show(session, reply, () => {
      const rows = history.map(({ at, cause, eventId, moves }) => [
        ...[instant(at), cause, eventId ?? ''],
        Object.entries(moves)
          .map(([trait, { from, to }]) => `${trait} ${from.toFixed(2)} -> ${to.toFixed(2)}`)
          .join(', '),
      ]);
      const lines = rows.length === 0 ? [] : table(session.out, ['AT', 'CAUSE', 'EVENT', 'MOVES'], rows);
      return [...describe(session.out, record), ...lines];
    });
    return 'ok';
  },
});

const tagCommand = command({
  name: 'tag',
  about: 'Put other tags in the place of all',
  args: {
    entity,
    tags: { type: 'string', required: true, valueHint: 'TAG,...', description: 'The tags; "" for none' },
  },
  run: async (session, args) => {
    const reply = await session.api.put(`/v1/memory/${pathId(args.entity)}/tags`, {
      tags: readList(args.tags),
    });
    show(session, reply, () => describe(session.out, bodyOf<MemoryRecord>(reply)));
    return 'ok';
  },
});

const inheritCommand = command({
  name: 'inherit',
  about: 'Begin a record with 0.9 of each trait of another of its kind',
  args: {
    entity,
    from: { type: 'string', required: true, valueHint: 'ENTITY', description: 'The parent' },
    reason,
  },
  run: async (session, args) => {
    const asked = { from: args.from, reason: args.reason };
    const reply = await session.api.post(`/v1/memory/${pathId(args.entity)}/inherit`, asked);
    show(session, reply, () => describe(session.out, bodyOf<MemoryRecord>(reply)));
    return 'ok';
  },
});

const forgetCommand = command({
  name: 'forget',
  about: 'Forget an entity; what was counted of it is not counted again',
  args: { entity, reason },
  run: async (session, args) => {
    const query = `reason=${encodeURIComponent(args.reason)}`;
    const reply = await session.api.delete(`/v1/memory/${pathId(args.entity)}?${query}`);
    show(session, reply, () => [`${args.entity} is forgotten.`]);
    return 'ok';
  },
});

export const memoryCommands: Record<string, CommandDef> = {
  list: listCommand,
  show: showCommand,
  tag: tagCommand,
  inherit: inheritCommand,
  export: exportCommand,
  import: importCommand,
  forget: forgetCommand,
};
