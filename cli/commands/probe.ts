import { randomUUID } from 'node:crypto';
import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { visible } from '../escape.ts';
import { hintMore, linkLine, marked, pageArgs } from '../format.ts';
import { pathId } from '../ids.ts';
import { readList } from '../input.ts';
import { type Output, table } from '../output.ts';
import { describeLast, describeProbe, everyOf } from '../probe.ts';
import { bodyOf, show } from '../session.ts';
import { switchCommands } from '../switch-commands.ts';
import type { Page, Probe, ProbeRun } from '../views.ts';
import { createCommand } from './probe-create.ts';

const id = { type: 'positional', required: true, description: 'Probe' } as const;

const listCommand = command({
  name: 'list',
  about: 'Probes and how their last run ended',
  args: pageArgs,
  run: async (session, { limit, cursor }) => {
    const reply = await session.api.get('/v1/probes', { limit, cursor });
    const page = bodyOf<Page<Probe>>(reply);
    const heads = ['ID', 'NAME', 'STATE', 'REQUEST', 'EVERY', 'FAILED IN A ROW'];
    const rows = page.items.map((probe) => [
      ...[
        probe.id,
        probe.name,
        marked(probe.enabled ? probe.state : 'disabled'),
        `${probe.method} ${probe.url}`,
      ],
      ...[everyOf(probe), String(probe.consecutiveFailures)],
    ]);
    show(session, reply, () => (rows.length === 0 ? ['No probes.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});

const showCommand = command({
  name: 'show',
  about: 'One probe: its request, its newest result, and what it depends on',
  args: { id },
  run: async (session, args) => {
    const reply = await session.api.get(`/v1/probes/${pathId(args.id)}`);
    const probe = bodyOf<Probe>(reply);
    show(session, reply, () => [...describeProbe(session.out, probe), ...describeLast(session.out, probe)]);
    return 'ok';
  },
});

const editCommand = command({
  name: 'edit',
  about: 'Say which other endpoints the endpoint of a probe cannot do without',
  args: {
    id,
    'depends-on': {
      type: 'string',
      required: true,
      valueHint: 'PROBE,PROBE|none',
      description: 'Ids or names of their probes, in place of those before; none takes all away',
    },
  },
  run: async (session, args) => {
    const wanted = args['depends-on'];
    const dependsOn = wanted === 'none' ? [] : readList(wanted);
    const reply = await session.api.patch(`/v1/probes/${pathId(args.id)}`, { dependsOn });
    show(session, reply, () => describeProbe(session.out, bodyOf<Probe>(reply)));
    return 'ok';
  },
});

const runCommand = command({
  name: 'run',
  about: 'Send the request of a probe now; an endpoint that fails is a result, so the exit code is 0',
  args: { id },
  run: async (session, args) => {
    const path = `/v1/probes/${pathId(args.id)}/run`;
    const reply = await session.api.post(path, {}, { 'idempotency-key': randomUUID() });
    const ran = bodyOf<ProbeRun>(reply);
    show(session, reply, () => describeRun(session.out, ran));
    if (!ran.done) session.out.hint('It still runs; the link shows how it ends.');
    return 'ok';
  },
});

function describeRun(out: Output, ran: ProbeRun): string[] {
  const result = ran.ok === null ? 'running' : ran.ok ? out.paint('green', 'ok') : out.paint('red', 'failed');
  return [
    result,
    ...ran.failures.map((failure) => `  ${visible(failure)}`),
    ...(ran.eventId === null ? [] : [`event ${visible(ran.eventId)}`]),
    linkLine(out, ran.temporal),
  ];
}

export const probeCommands: Record<string, CommandDef> = {
  list: listCommand,
  create: createCommand,
  show: showCommand,
  edit: editCommand,
  run: runCommand,
  ...switchCommands({
    ...{ path: '/v1/probes', word: { id } },
    about: { enable: 'Switch a probe and its schedule on', disable: 'Switch them off' },
    lines: (session, reply) => describeProbe(session.out, bodyOf<Probe>(reply)),
  }),
};
