import type { ArgsDef } from 'citty';
import { strategies } from '../../domain/delivery.ts';
import { severities } from '../../domain/events.ts';
import { command } from '../command.ts';
import { pathId } from '../ids.ts';
import { readList, readNumber, readObject } from '../input.ts';
import { facts } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import { describeSubscription } from '../subscription.ts';
import type { Subscription } from '../bus-views.ts';

const key = { type: 'positional', required: true, description: 'Subscription' } as const;

const parts = {
  description: { type: 'string', valueHint: 'TEXT', description: 'What it is for' },
  types: {
    type: 'string',
    valueHint: 'A,B',
    description: 'Event types, a trailing * allowed; all unless given',
  },
  'min-severity': {
    type: 'enum',
    options: [...severities],
    description: 'info unless given',
  },
  sources: { type: 'string', valueHint: 'TYPE:ID,...', description: 'Sources, a trailing * allowed' },
  'exclude-source-types': { type: 'string', valueHint: 'A,B', description: 'Source types to leave out' },
  destination: { type: 'string', valueHint: 'NAME', description: 'Whom events are for (strategy direct)' },
  filter: { type: 'string', valueHint: 'CEL', description: 'What must be true (strategy filtered)' },
  strategy: {
    type: 'enum',
    options: [...strategies],
    description: 'broadcast unless given',
  },
  consumers: { type: 'string', valueHint: 'N', description: 'How many share it (strategy balanced)' },
  retry: { type: 'string', valueHint: '@FILE|-|JSON', description: 'maxAttempts, backoffMs, maxBackoffMs' },
  'deadline-ms': { type: 'string', valueHint: 'N', description: 'Time in which an event must be handled' },
} satisfies ArgsDef;

const handlerText = 'kind webhook: url, allowPrivateNetwork, timeoutMs. kind signal: workflowId, signal';

type Given = { [name in keyof typeof parts]?: string | undefined };

/** The match of the options; nothing where none of them is given. */
function matchOf(args: Given): object | undefined {
  const { types, sources, destination, filter } = args;
  const excluded = args['exclude-source-types'];
  const given = {
    types: types === undefined ? undefined : readList(types),
    minSeverity: args['min-severity'],
    sources: sources === undefined ? undefined : readList(sources),
    excludeSourceTypes: excluded === undefined ? undefined : readList(excluded),
    destination,
    filter,
  };
  return Object.values(given).some((value) => value !== undefined) ? given : undefined;
}

async function partsOf(args: Given): Promise<object> {
  return {
    description: args.description,
    match: matchOf(args),
    strategy: args.strategy,
    consumers: readNumber('consumers', args.consumers),
    retry: args.retry === undefined ? undefined : await readObject('retry', args.retry),
    deadlineMs: readNumber('deadline-ms', args['deadline-ms']),
  };
}

export const createCommand = command({
  name: 'create',
  about: 'Hand events on to a webhook or a workflow; the address is read from a file or stdin, and sealed',
  args: {
    key: { ...key, description: 'Its key: small letters, digits, hyphens' },
    handler: { type: 'string', required: true, valueHint: '@FILE|-|JSON', description: handlerText },
    ...parts,
    from: { type: 'string', valueHint: 'now|start|CURSOR', description: 'Where to begin; now unless given' },
  },
  run: async (session, args) => {
    const reply = await session.api.post('/v1/subscriptions', {
      key: args.key,
      handler: await readObject('handler', args.handler),
      ...(await partsOf(args)),
      from: args.from,
    });
    const made = bodyOf<{ subscription: Subscription; signingSecret: string | null }>(reply);
    show(session, reply, () => [
      ...describeSubscription(session.out, made.subscription),
      ...facts(session.out, [['signing secret', made.signingSecret]]),
    ]);
    if (made.signingSecret !== null)
      session.out.hint('Give the signing secret to the receiver now: it is shown once and stored nowhere.');
    return 'ok';
  },
});

export const changeCommand = command({
  name: 'change',
  about: 'Change a subscription as it is now; the options of its match are given whole',
  args: {
    key,
    version: { type: 'string', valueHint: 'N', description: 'The version you saw; the newest unless given' },
    handler: { type: 'string', valueHint: '@FILE|-|JSON', description: handlerText },
    ...parts,
  },
  run: async (session, args) => {
    const path = `/v1/subscriptions/${pathId(args.key)}`;
    const seen =
      readNumber('version', args.version) ?? bodyOf<Subscription>(await session.api.get(path)).version;
    const reply = await session.api.patch(path, {
      version: seen,
      ...(await partsOf(args)),
      handler: args.handler === undefined ? undefined : await readObject('handler', args.handler),
    });
    show(session, reply, () => describeSubscription(session.out, bodyOf<Subscription>(reply)));
    return 'ok';
  },
});
