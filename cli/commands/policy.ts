import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { hintMore, pageArgs } from '../format.ts';
import { longMs } from '../http.ts';
import { pathId } from '../ids.ts';
import { readNumber, readObjectFile } from '../input.ts';
import { table } from '../output.ts';
import { describeBackTest, describePolicy, policyRow } from '../policy.ts';
import { usage } from '../problem.ts';
import { bodyOf, type Session, show } from '../session.ts';
import type { BackTest, Page, Policy } from '../views.ts';

const id = { type: 'positional', required: true, description: 'Policy' } as const;
const fileText = 'JSON of name, place, match and rule; - reads stdin';
const file = { type: 'positional', required: true, description: fileText } as const;

const listCommand = command({
  name: 'list',
  about: 'Policies in the order in which they count',
  args: { ...pageArgs, enabled: { type: 'boolean', description: 'Only those in force' } },
  run: async (session, { limit, cursor, enabled }) => {
    const query = { limit, cursor, enabled: enabled ? 'true' : undefined };
    const reply = await session.api.get('/v1/policies', query);
    const page = bodyOf<Page<Policy>>(reply);
    const heads = ['ID', 'PLACE', 'STATE', 'NAME', 'VERSION', 'PEOPLE', 'EXPIRES AFTER', 'FOR'];
    show(session, reply, () =>
      page.items.length === 0
        ? ['No policies of your own; see: dreamnet policy show built-in']
        : table(session.out, heads, page.items.map(policyRow)),
    );
    hintMore(session, page);
    return 'ok';
  },
});

const read = async (session: Session, given: string): Promise<Policy> =>
  bodyOf<Policy>(await session.api.get(`/v1/policies/${pathId(given)}`));

const showCommand = command({
  name: 'show',
  about: 'One policy; built-in and built-in-high are there too',
  args: { id },
  run: async (session, args) => {
    const reply = await session.api.get(`/v1/policies/${pathId(args.id)}`);
    show(session, reply, () => describePolicy(session.out, bodyOf<Policy>(reply)));
    return 'ok';
  },
});

function hintEnable(session: Session, policy: Policy): void {
  session.out.hint(
    `Not in force: another person enables it. dreamnet policy enable ${policy.id} --version ${policy.version}`,
  );
}

const createCommand = command({
  name: 'create',
  about: 'Store a policy; it counts once another person has enabled it',
  args: { file },
  run: async (session, args) => {
    const reply = await session.api.post('/v1/policies', await readObjectFile(args.file));
    const policy = bodyOf<Policy>(reply);
    show(session, reply, () => describePolicy(session.out, policy));
    hintEnable(session, policy);
    return 'ok';
  },
});

const version = {
  type: 'string',
  valueHint: 'N',
  description: 'The version that you have read; the present one unless given',
} as const;

const changeCommand = command({
  name: 'change',
  about: 'Store a new version; it is out of force until another person enables it',
  args: { id, file, version },
  run: async (session, args) => {
    const change = await readObjectFile(args.file);
    const given = readNumber('version', args.version) ?? (await read(session, args.id)).version;
    const reply = await session.api.patch(`/v1/policies/${pathId(args.id)}`, { version: given, ...change });
    const policy = bodyOf<Policy>(reply);
    show(session, reply, () => describePolicy(session.out, policy));
    hintEnable(session, policy);
    return 'ok';
  },
});

const enableCommand = command({
  name: 'enable',
  about: 'Bring a version that another person wrote into force',
  args: { id, version },
  run: async (session, args) => {
    const given = readNumber('version', args.version) ?? (await read(session, args.id)).version;
    const reply = await session.api.post(`/v1/policies/${pathId(args.id)}/enable`, { version: given });
    show(session, reply, () => describePolicy(session.out, bodyOf<Policy>(reply)));
    return 'ok';
  },
});

const disableCommand = command({
  name: 'disable',
  about: 'Take a policy out of force; open approvals keep the rule they were opened under',
  args: { id, version, reason: { type: 'string', required: true, valueHint: 'TEXT', description: 'Why' } },
  run: async (session, { reason, ...args }) => {
    const given = readNumber('version', args.version) ?? (await read(session, args.id)).version;
    const body = { version: given, reason };
    const reply = await session.api.post(`/v1/policies/${pathId(args.id)}/disable`, body);
    show(session, reply, () => describePolicy(session.out, bodyOf<Policy>(reply)));
    return 'ok';
  },
});

const backTestCommand = command({
  name: 'back-test',
  about: 'Run a policy over the approvals of the last days and see what would have differed',
  args: {
    file: { ...file, required: false },
    id: { type: 'string', valueHint: 'ID', description: 'A stored policy instead of a file' },
    days: { type: 'string', valueHint: 'N', description: '1 to 90; 30 unless given' },
  },
  run: async (session, args) => {
    if ((args.file === undefined) === (args.id === undefined))
      throw usage('Give either a FILE with a draft or --id with a stored policy.');
    const draft = args.file === undefined ? { policyId: args.id } : await readObjectFile(args.file);
    const body = { ...draft, days: readNumber('days', args.days) };
    const reply = await session.api.post('/v1/policies/back-test', body, {}, longMs);
    show(session, reply, () => describeBackTest(session.out, bodyOf<BackTest>(reply)));
    return 'ok';
  },
});

export const policyCommands: Record<string, CommandDef> = {
  list: listCommand,
  show: showCommand,
  create: createCommand,
  change: changeCommand,
  enable: enableCommand,
  disable: disableCommand,
  'back-test': backTestCommand,
};
