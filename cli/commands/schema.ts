import type { CommandDef } from 'citty';
import { schemaModes } from '../../domain/event-schema-mode.ts';
import { command } from '../command.ts';
import { hintMore, instant, pageArgs } from '../format.ts';
import { longMs } from '../http.ts';
import { pathId } from '../ids.ts';
import { readNumber, readObject } from '../input.ts';
import { facts, table } from '../output.ts';
import { usage } from '../problem.ts';
import { bodyOf, show } from '../session.ts';
import type { BackTestedSchema, EventSchema, SchemaVersions } from '../bus-views.ts';
import type { Page } from '../views.ts';

const type = { type: 'positional', required: true, description: 'Event type' } as const;
const schema = {
  type: 'string',
  required: true,
  valueHint: '@FILE|-|JSON',
  description: 'JSON Schema 2020-12 of the payload',
} as const;
const listCommand = command({
  name: 'list',
  about: 'Schemas in force; with --all every version',
  args: { ...pageArgs, all: { type: 'boolean', description: 'Versions that are not in force, too' } },
  run: async (session, { limit, cursor, all }) => {
    const enabled = all === true ? undefined : 'true';
    const reply = await session.api.get('/v1/event-schemas', { limit, cursor, enabled });
    const page = bodyOf<Page<EventSchema>>(reply);
    const rows = page.items.map((each) => [
      ...[each.type, String(each.version), each.enabled ? each.mode : 'off', instant(each.createdAt)],
      each.description,
    ]);
    show(session, reply, () =>
      rows.length === 0
        ? ['No schemas: payloads are not checked.']
        : table(session.out, ['TYPE', 'VERSION', 'MODE', 'STORED', 'DESCRIPTION'], rows),
    );
    hintMore(session, page);
    return 'ok';
  },
});

const showCommand = command({
  name: 'show',
  about: 'The schema of a type that is in force, and its versions',
  args: { type },
  run: async (session, args) => {
    const reply = await session.api.get(`/v1/event-schemas/${pathId(args.type)}`);
    const { inForce, versions } = bodyOf<SchemaVersions>(reply);
    const rows = versions.map((each) => [
      ...[String(each.version), each.mode, each.enabled ? 'in force' : 'off', instant(each.createdAt)],
      each.owner,
    ]);
    show(session, reply, () => [
      ...(inForce === null
        ? ['No version is in force.']
        : JSON.stringify(inForce.schema, null, 2).split('\n')),
      ...table(session.out, ['VERSION', 'MODE', 'STATE', 'STORED', 'BY'], rows),
    ]);
    return 'ok';
  },
});

const addCommand = command({
  name: 'add',
  about: 'Store the next version of the schema of a type; it is in force at once',
  args: {
    ...{ type, schema },
    mode: {
      type: 'enum',
      options: [...schemaModes],
      description: 'enforce unless given: refuse what does not fit; warn stores it with a warning',
    },
    description: { type: 'string', valueHint: 'TEXT', description: 'What it is about' },
    off: { type: 'boolean', description: 'Store it without putting it in force' },
  },
  run: async (session, args) => {
    const reply = await session.api.post('/v1/event-schemas', {
      type: args.type,
      schema: await readObject('schema', args.schema),
      mode: args.mode,
      description: args.description,
      enabled: args.off !== true,
    });
    const made = bodyOf<EventSchema>(reply);
    show(session, reply, () =>
      facts(session.out, [
        ['type', made.type],
        ['version', made.version],
        ['mode', made.enabled ? made.mode : 'off'],
      ]),
    );
    return 'ok';
  },
});

const checkCommand = command({
  name: 'check',
  about: 'Try a schema on a payload, or on the newest recorded events of a type; stores nothing',
  args: {
    ...{ type, schema },
    payload: { type: 'string', valueHint: 'JSON|@FILE', description: 'Try this payload instead' },
    last: { type: 'string', valueHint: 'N', description: 'So many recorded events; 1000 unless given' },
  },
  run: async (session, args) => {
    const wanted = await readObject('schema', args.schema);
    if (args.payload !== undefined && args.last !== undefined)
      throw usage('--payload tries one payload, --last recorded events; give one of them.');
    if (args.payload !== undefined) {
      const payload = await readObject('payload', args.payload);
      const event = { type: args.type, source: { type: 'api', id: 'cli' }, payload };
      const reply = await session.api.post('/v1/event-schemas/check', { schema: wanted, event });
      const { problem } = bodyOf<{ problem: { path: string; message: string } | null }>(reply);
      show(session, reply, () => [problem === null ? 'It fits.' : `${problem.path}: ${problem.message}`]);
      return problem === null ? 'ok' : 'usage';
    }
    const body = { type: args.type, schema: wanted, last: readNumber('last', args.last) };
    const reply = await session.api.post('/v1/event-schemas/back-test', body, {}, longMs);
    const { looked, valid, invalid, examples } = bodyOf<BackTestedSchema>(reply);
    const rows = examples.map(({ eventId, path, message }) => [eventId, path, message]);
    show(session, reply, () => [
      `Of the newest ${looked} events of ${args.type} ${valid} fit and ${invalid} do not.`,
      ...(rows.length === 0 ? [] : table(session.out, ['EVENT', 'AT', 'WHY'], rows)),
    ]);
    return invalid === 0 ? 'ok' : 'usage';
  },
});

const removeCommand = command({
  name: 'remove',
  about: 'Put the schema of a type out of force; its versions stay',
  args: { type },
  run: async (session, args) => {
    const reply = await session.api.delete(`/v1/event-schemas/${pathId(args.type)}`);
    show(session, reply, () => [`Payloads of ${args.type} are no longer checked.`]);
    return 'ok';
  },
});

export const schemaCommands: Record<string, CommandDef> = {
  list: listCommand,
  show: showCommand,
  add: addCommand,
  check: checkCommand,
  remove: removeCommand,
};
