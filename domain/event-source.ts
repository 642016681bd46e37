import { type PrincipalKind, principalKinds } from './access.ts';
import type { EventInput } from './events.ts';
import { refuse, type Refusal } from './refusal.ts';
import { matchesType } from './subscription.ts';

/*
 * Who may say what. People are paged, tasks are proposed and rules fire because of events, so what this system says of
 * itself comes from itself only, and an agent speaks for nobody but itself (SEC-004).
 */
type SpeechRule = { types: readonly string[]; from: readonly PrincipalKind[]; because: string };

/** The first rule with a fitting type counts; `from` nobody means the system itself. */
export const speechRules: readonly SpeechRule[] = [
  {
    types: ['api.endpoint.failed', 'api.endpoint.success', 'integration.failed'],
    from: ['human', 'service'],
    because: 'the outcome of a request is told by who watches it, not by an agent that may have caused it',
  },
  {
    types: ['agent.*'],
    from: ['agent'],
    because: 'an agent tells of itself, with its own key',
  },
  {
    types: [
      ...['halo.*', 'squad.*', 'graft.*', 'spore.*', 'api.probe.*'],
      ...['security.*', 'approval.*', 'policy.*', 'kill-switch.*', 'audit.*', 'notification.*'],
      ...['bus.*', 'event.processing.*', 'wormhole.*'],
    ],
    from: [],
    because: 'they tell what this system did, and come from the system itself',
  },
  // Whoever deploys may say so; HALO takes a light look.
  { types: ['deploy.completed'], from: principalKinds, because: '' },
  // heartbeat.lost, system.event, custom.* and every type of somebody's own.
  { types: ['*'], from: principalKinds, because: '' },
];

/** Parts of this system that speak as `system:<id>`, or as `system:<id>:<name>` for one of many, themselves. */
export const ownParts = [
  ...['access', 'agents', 'audit', 'bus', 'control', 'gate', 'halo', 'kill-switch', 'notifications'],
  ...[
    'policies',
    'retention',
    'shield',
    'squad',
    'subscriptions',
    'wormholes',
    'hooks',
    'clusters',
    'replay',
    'wormhole',
    'subscription',
  ],
];

/** Metadata that this system writes itself. */
export const ownMetadata = [
  ...['schemaWarning', 'routing', 'processing', 'replay', 'wormhole', 'hook', 'cluster'],
];

export type SpeakerFacts = {
  kind: PrincipalKind;
  name: string;
  /** The id under which an agent is registered. */
  agentId: string | null;
};

/** Whether this type may come from outside at all; who may say it depends on the speaker. */
export function isOpenType(type: string): boolean {
  return ruleFor(type).from.length > 0;
}

function ruleFor(type: string): SpeechRule {
  const rule = speechRules.find(({ types }) => types.some((pattern) => matchesType(pattern, type)));
  if (rule === undefined) throw new Error(`no speech rule for ${type}`);
  return rule;
}

/** Refuses an event whose type, source or metadata its sender may not state. */
export function refuseSpeech(
  speaker: SpeakerFacts,
  event: Pick<EventInput, 'type' | 'source' | 'metadata'>,
): Refusal | null {
  return (
    refuseType(speaker, event.type) ?? refuseSource(speaker, event.source) ?? refuseMetadata(event.metadata)
  );
}

function refuseType({ kind, name }: SpeakerFacts, type: string): Refusal | null {
  const { from, because } = ruleFor(type);
  if (from.includes(kind)) return null;
  return refuse(
    'FORBIDDEN',
    from.length === 0
      ? `Events of the type ${type} come from the system itself; use a type of your own.`
      : `${name} cannot send events of the type ${type}: ${because}. Allowed: ${from.join(', ')}.`,
    { type, allowed: [...from] },
  );
}

function refuseSource({ kind, name, agentId }: SpeakerFacts, source: EventInput['source']): Refusal | null {
  if (kind === 'agent')
    return source.type === 'agent' && source.id === agentId
      ? null
      : refuse(
          'FORBIDDEN',
          `${name} speaks for itself only: source {"type": "agent", "id": "${agentId ?? '(its own id)'}"}.`,
        );
  const isOwn =
    source.type === 'halo' ||
    source.type === 'squad' ||
    (source.type === 'system' && ownParts.includes(source.id.split(':', 1)[0] ?? ''));
  const who = source.type === 'system' ? `system:${source.id}` : source.type;
  if (isOwn)
    return refuse('FORBIDDEN', `Events of ${who} come from the system itself; name a source of your own.`);
  return source.type === 'agent'
    ? refuse('FORBIDDEN', `Events of agent:${source.id} come from that agent, with its own key.`)
    : null;
}

function refuseMetadata(metadata: EventInput['metadata']): Refusal | null {
  const taken = ownMetadata.find((name) => Object.hasOwn(metadata, name));
  return taken === undefined
    ? null
    : refuse('INVALID', `metadata.${taken}: the system writes this member itself; use another name.`, {
        member: `metadata.${taken}`,
      });
}

const maxAheadDays = 365;

/** When an event is handed to its subscribers: at most a year ahead; a time that is over means at once. */
export function planDelivery(deliverAt: string | undefined, nowMs: number): string | undefined | Refusal {
  if (deliverAt === undefined) return undefined;
  const ahead = Date.parse(deliverAt) - nowMs;
  if (ahead > maxAheadDays * 86_400_000)
    return refuse(
      'INVALID',
      `deliverAt: ${deliverAt} is more than ${maxAheadDays} days ahead; send the event later.`,
      {
        maxAheadDays,
      },
    );
  return ahead > 0 ? deliverAt : undefined;
}
