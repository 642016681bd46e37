import { command } from '../command.ts';
import { readList, readNumber, readObject } from '../input.ts';
import { usage } from '../problem.ts';
import { describeProbe } from '../probe.ts';
import { bodyOf, show } from '../session.ts';
import type { Probe } from '../views.ts';

export const createCommand = command({
  name: 'create',
  about: 'Store a request with what its answer has to be',
  args: {
    name: { type: 'positional', required: true, description: 'Name of the probe' },
    address: { type: 'positional', required: true, description: 'Address to call, http or https' },
    method: { type: 'enum', options: ['GET', 'HEAD', 'POST'], description: 'GET unless given' },
    interval: {
      type: 'string',
      valueHint: 'SECONDS',
      description: 'Run it this often; on demand only without it',
    },
    status: { type: 'string', valueHint: 'FROM-TO', description: 'Accepted statuses; 200-299 unless given' },
    'max-latency-ms': { type: 'string', valueHint: 'N', description: 'Slower than this is a failure' },
    'body-includes': { type: 'string', valueHint: 'TEXT', description: 'The answer has to have this text' },
    'timeout-ms': { type: 'string', valueHint: 'N', description: 'Time the endpoint has' },
    'depends-on': {
      type: 'string',
      valueHint: 'PROBE,PROBE',
      description: 'Ids or names of probes whose endpoints it cannot do without',
    },
    'allow-private-network': { type: 'boolean', description: 'It may reach private addresses (admins only)' },
    more: {
      type: 'string',
      valueHint: 'JSON|@FILE|-',
      description: 'Other members of the body: headers, body',
    },
  },
  run: async (session, args) => {
    const more = args.more === undefined ? {} : await readObject('more', args.more);
    const reply = await session.api.post('/v1/probes', {
      name: args.name,
      url: args.address,
      method: args.method,
      intervalSeconds: readNumber('interval', args.interval),
      assertions: {
        ...readStatus(args.status),
        maxLatencyMs: readNumber('max-latency-ms', args['max-latency-ms']),
        bodyIncludes: args['body-includes'],
      },
      timeoutMs: readNumber('timeout-ms', args['timeout-ms']),
      allowPrivateNetwork: args['allow-private-network'],
      dependsOn: args['depends-on'] === undefined ? undefined : readList(args['depends-on']),
      ...more,
    });
    const probe = bodyOf<Probe>(reply);
    show(session, reply, () => describeProbe(session.out, probe));
    if (reply.status === 202)
      session.out.hint(
        `Stored, not scheduled: once Temporal answers again, dreamnet probe enable ${probe.id}`,
      );
    else session.out.hint(`Try it: dreamnet probe run ${probe.id}`);
    return 'ok';
  },
});

function readStatus(text: string | undefined): { statusFrom?: number; statusTo?: number } {
  if (text === undefined) return {};
  const match = /^(\d{3})(?:-(\d{3}))?$/.exec(text);
  if (match === null)
    throw usage(`--status is "${text}"; it has to be one status or FROM-TO, such as 200-299.`);
  return { statusFrom: Number(match[1]), statusTo: Number(match[2] ?? match[1]) };
}
