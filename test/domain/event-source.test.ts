import { describe, expect, test } from 'vitest';
import { type PrincipalKind, principalKinds } from '../../domain/access.ts';
import {
  isOpenType,
  ownMetadata,
  ownParts,
  planDelivery,
  refuseSpeech,
  speechRules,
} from '../../domain/event-source.ts';
import { eventTypes, sourceTypes } from '../../domain/events.ts';
import { isRefusal } from '../../domain/refusal.ts';

const who = (kind: PrincipalKind) => ({ kind, name: 'olga', agentId: kind === 'agent' ? 'agt_1' : null });
const ownSource = (kind: PrincipalKind) =>
  kind === 'agent' ? ({ type: 'agent', id: 'agt_1' } as const) : ({ type: 'api', id: 'shop' } as const);
const says = (kind: PrincipalKind, type: string, source = ownSource(kind) as { type: never; id: string }) =>
  refuseSpeech(who(kind), { type, source, metadata: {} });

/** Who may say a type; the system itself writes to the log without being asked. */
const open: Record<string, readonly PrincipalKind[]> = {
  'api.endpoint.failed': ['human', 'service'],
  'api.endpoint.success': ['human', 'service'],
  'integration.failed': ['human', 'service'],
  'agent.task': ['agent'],
  'agent.response': ['agent'],
  'agent.capability': ['agent'],
  'agent.status': ['agent'],
  'agent.error': ['agent'],
  'heartbeat.lost': principalKinds,
  'deploy.completed': principalKinds,
  'system.event': principalKinds,
  'system.health': principalKinds,
  custom: principalKinds,
  'custom.shop.opened': principalKinds,
  'shop.order.failed': principalKinds,
  // A name that only begins like one of ours is somebody's own.
  'policyholder.moved': principalKinds,
  'halogen.lamp.broken': principalKinds,
  'busy.day': principalKinds,
};

describe('what may be said from outside', () => {
  test.each(Object.entries(open))('%s, by %j', (type, allowed) => {
    for (const kind of principalKinds)
      expect({ kind, refused: says(kind, type)?.refused ?? null }).toEqual({
        kind,
        refused: allowed.includes(kind) ? null : 'FORBIDDEN',
      });
    expect(isOpenType(type)).toBe(true);
  });

  const outsideToo = Object.keys(open);
  test.each(Object.values(eventTypes).filter((type) => !outsideToo.includes(type)))(
    '%s is said by the system alone, whatever source is claimed',
    (type) => {
      expect(isOpenType(type)).toBe(false);
      for (const kind of principalKinds)
        for (const sourceType of sourceTypes)
          expect(says(kind, type, { type: sourceType as never, id: 'agt_1' })).toMatchObject({
            refused: 'FORBIDDEN',
          });
    },
  );

  test.each([
    ...['security.x', 'approval.x', 'policy.x', 'kill-switch.x', 'audit.x', 'notification.x', 'bus.x.y'],
    'wormhole.shop-loud',
    ...[
      'event.processing.x',
      'halo.anything',
      'squad.task.made-up',
      'graft.install.failed',
      'spore.deployed',
    ],
  ])('%s, which nobody has declared yet, is the system’s too', (type) => {
    for (const kind of principalKinds) expect(says(kind, type)).toMatchObject({ refused: 'FORBIDDEN' });
  });

  test('every type of this system has a rule of its own, not the one for all others', () => {
    const named = speechRules.flatMap(({ types }) => types).filter((pattern) => pattern !== '*');
    for (const type of Object.values(eventTypes))
      expect(
        named.some((each) => each === type || (each.endsWith('*') && type.startsWith(each.slice(0, -1)))),
      ).toBe(true);
  });
});

describe('for whom it may be said', () => {
  const source = (kind: PrincipalKind, type: string, id: string) =>
    says(kind, 'my.event', { type: type as never, id })?.refused ?? null;

  test.each(sourceTypes)('source %s', (type) => {
    const isClosed = ['halo', 'squad', 'agent'].includes(type);
    for (const kind of ['human', 'service'] as const)
      expect(source(kind, type, 'x')).toBe(isClosed ? 'FORBIDDEN' : null);
    expect(source('agent', type, 'agt_1')).toBe(type === 'agent' ? null : 'FORBIDDEN');
  });

  test('an agent speaks for itself only, and not at all before it is registered', () => {
    expect(source('agent', 'agent', 'agt_2')).toBe('FORBIDDEN');
    const nobody = { kind: 'agent', name: 'x', agentId: null } as const;
    expect(
      refuseSpeech(nobody, { type: 'my.event', source: { type: 'agent', id: 'null' }, metadata: {} }),
    ).toMatchObject({ refused: 'FORBIDDEN' });
  });

  test.each(ownParts)('nobody speaks as system:%s', (id) => {
    for (const kind of ['human', 'service'] as const)
      for (const one of [id, `${id}:one`]) expect(source(kind, 'system', one)).toBe('FORBIDDEN');
  });

  test.each(ownMetadata)('nobody sets metadata.%s', (name) => {
    for (const kind of principalKinds) {
      const event = { type: 'my.event', source: ownSource(kind), metadata: { [name]: null } };
      expect(refuseSpeech(who(kind), event)).toMatchObject({
        refused: 'INVALID',
        details: { member: `metadata.${name}` },
      });
    }
  });
});

describe('when an event is handed over', () => {
  const now = Date.parse('2026-06-01T00:00:00Z');
  test.each([
    [undefined, undefined],
    ['2026-05-31T23:59:59Z', undefined],
    ['2026-06-01T00:00:00Z', undefined],
    ['2026-06-01T00:00:01Z', '2026-06-01T00:00:01Z'],
    ['2027-06-01T00:00:00Z', '2027-06-01T00:00:00Z'],
  ])('%s is %s', (given, planned) => {
    expect(planDelivery(given, now)).toBe(planned);
  });

  test('more than a year ahead is refused', () => {
    expect(isRefusal(planDelivery('2027-06-01T00:00:01Z', now))).toBe(true);
  });
});
