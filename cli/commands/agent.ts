import type { CommandDef } from 'citty';
import { executors, taskRoles } from '../../domain/task.ts';
import { command } from '../command.ts';
import { hintMore, instant, marked, pageArgs } from '../format.ts';
import { readList, readNumber, readObject } from '../input.ts';
import { pathId } from '../ids.ts';
import { facts, type Output, table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import { switchCommands } from '../switch-commands.ts';
import type { Agent, Page } from '../views.ts';

const listCommand = command({
  name: 'list',
  about: 'Agents',
  args: pageArgs,
  run: async (session, { limit, cursor }) => {
    const reply = await session.api.get('/v1/agents', { limit, cursor });
    const page = bodyOf<Page<Agent>>(reply);
    const heads = ['ID', 'NAME', 'STATE', 'ROLE', 'EXECUTOR', 'CAPABILITIES', 'LAST SEEN'];
    const rows = page.items.map((agent) => [
      ...[
        agent.id,
        agent.name,
        marked(agent.state),
        agent.role,
        agent.executor,
        agent.capabilities.join(', '),
      ],
      agent.lastSeenAt === null ? 'never' : instant(agent.lastSeenAt),
    ]);
    show(session, reply, () => (rows.length === 0 ? ['No agents.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});

const registerCommand = command({
  name: 'register',
  about: 'Register an agent; its key is shown once',
  args: {
    name: { type: 'positional', required: true, description: 'Name of the agent' },
    role: {
      type: 'string',
      required: true,
      valueHint: 'ROLE',
      description: `Which tasks it takes: ${taskRoles.join(', ')}`,
    },
    capabilities: { type: 'string', required: true, valueHint: 'A,B.*', description: 'Task types it can do' },
    executor: { type: 'enum', required: true, options: [...executors], description: 'How it is reached' },
    config: {
      type: 'string',
      required: true,
      valueHint: 'JSON|@FILE|-',
      description: 'temporal: {"taskQueue"}, http: {"url"}, command: {"command": [...]}',
    },
    'max-concurrency': { type: 'string', valueHint: 'N', description: 'Tasks it runs at once' },
  },
  run: async (session, { name, role, capabilities, executor, config, ...args }) => {
    const reply = await session.api.post('/v1/agents', {
      name,
      role,
      capabilities: readList(capabilities),
      executor,
      config: await readObject('config', config),
      maxConcurrency: readNumber('max-concurrency', args['max-concurrency']),
    });
    const made = bodyOf<{ agent: Agent; key: string; signingSecret: string | null }>(reply);
    show(session, reply, () => [
      ...describeAgent(session.out, made.agent),
      ...facts(session.out, [
        ['key', made.key],
        ['signing secret', made.signingSecret],
      ]),
    ]);
    session.out.hint('Keep the key now: it is shown once and stored nowhere.');
    return 'ok';
  },
});

const limitCommand = command({
  name: 'limit',
  about: 'Set how many tasks an agent runs at once; more wait for a place',
  args: {
    id: { type: 'positional', required: true, description: 'Agent' },
    max: { type: 'positional', required: true, description: 'How many, 1 to 1000' },
  },
  run: async (session, { id, max }) => {
    const path = `/v1/agents/${pathId(id)}/limit`;
    const reply = await session.api.put(path, { maxConcurrency: readNumber('max', max) });
    show(session, reply, () => describeAgent(session.out, bodyOf<Agent>(reply)));
    return 'ok';
  },
});

function describeAgent(out: Output, agent: Agent): string[] {
  return facts(out, [
    ['agent', agent.id],
    ['name', agent.name],
    ['role', agent.role],
    ['executor', `${agent.executor}, configuration ${agent.configVersion}`],
    ['at once', String(agent.maxConcurrency)],
    ['state', agent.state],
  ]);
}

export const agentCommands: Record<string, CommandDef> = {
  list: listCommand,
  register: registerCommand,
  limit: limitCommand,
  ...switchCommands({
    ...{ path: '/v1/agents', word: { id: { type: 'positional', required: true, description: 'Agent' } } },
    about: { enable: 'Let an agent take tasks again', disable: 'Give an agent no more tasks' },
    lines: (session, reply) => describeAgent(session.out, bodyOf<Agent>(reply)),
  }),
};
