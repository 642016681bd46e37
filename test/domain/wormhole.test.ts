import { describe, expect, test } from 'vitest';
import { maxHops } from '../../domain/events.ts';
import { isRefusal } from '../../domain/refusal.ts';
import type { EventMatch } from '../../domain/subscription.ts';
import {
  compileRule,
  findMismatch,
  type Rule,
  type Wormhole,
  type WormholeAction,
} from '../../domain/wormhole.ts';
import { speechRules } from '../../domain/event-source.ts';
import { checkWormhole } from '../../domain/wormhole-check.ts';
import { planEvent } from '../../domain/wormhole-effect.ts';
import { wormholePresets } from '../../domain/wormhole-presets.ts';
import { aLoggedEvent } from '../support/events.ts';

const open: EventMatch = { types: [], minSeverity: 'info', excludeSourceTypes: [] };

function aWormhole(action: WormholeAction, match: Partial<EventMatch> = {}): Wormhole {
  return { id: 'whl_1', name: 'w', version: 1, match: { ...open, ...match }, action, maxHops };
}

function ruleOf(wormhole: Wormhole): Rule {
  const rule = compileRule(wormhole);
  if (isRefusal(rule)) throw new Error(rule.message);
  return rule;
}

function plan(wormhole: Wormhole, given: Parameters<typeof aLoggedEvent>[0] = {}) {
  return planEvent(ruleOf(wormhole), aLoggedEvent(given));
}

describe('which events a wormhole takes', () => {
  const event = {
    type: 'shop.order.failed',
    sourceType: 'api',
    sourceId: 'shop-1',
    severity: 'error',
    destination: 'billing',
    payload: { total: 12 },
  } as const;

  test.each<[Partial<EventMatch>, string | null]>([
    [{}, null],
    [{ types: ['shop.*'] }, null],
    [{ types: ['shop.order'] }, 'type shop.order.failed is none of shop.order'],
    [{ minSeverity: 'error' }, null],
    [{ minSeverity: 'critical' }, 'severity error is below critical'],
    [{ excludeSourceTypes: ['api'] }, 'source type api are excluded'],
    [{ sources: ['api:shop-*'] }, null],
    [{ sources: ['api:shop'] }, 'source api:shop-1 is none of api:shop'],
    [{ sources: ['agent:*', 'api:shop-1'] }, null],
    [{ destination: 'billing' }, null],
    [{ destination: 'mail' }, 'destination billing is not mail'],
    [{ filter: 'payload.total > 10' }, null],
    [{ filter: 'payload.total > 20' }, 'filter is false'],
    [{ filter: 'payload.none > 20' }, "no field 'none'"],
  ])('%j', (match, why) => {
    const wormhole = aWormhole({ kind: 'log' }, match);
    const mismatch = findMismatch(ruleOf(wormhole), aLoggedEvent(event));
    expect(plan(wormhole, event).outcome).toBe(why === null ? 'acts' : 'unmatched');
    if (why === null) expect(mismatch).toBeNull();
    else expect(mismatch).toContain(why);
  });
});

describe('what a wormhole makes of an event', () => {
  test('texts are one line, free of invisible characters and of what looks like a secret', () => {
    const task = {
      type: 'repair.shop',
      title: 'Fix {{payload.a}}',
      target: 't:{{payload.b}}',
      targetRole: 'DeployKeeper',
      risk: 'low',
    } as const;
    const found = plan(aWormhole({ kind: 'create-task', task }), {
      payload: { a: 'x\n\u202epassword=hunter22', b: 'y\u0007z' },
    });
    expect(found).toMatchObject({
      effect: {
        task: { title: 'Fix x password=[redacted]', target: 't:y z', fingerprint: 'wormhole:whl_1:t:y z' },
      },
    });
  });

  test.each([
    ['info', 'low'],
    ['warning', 'medium'],
    ['error', 'high'],
    ['critical', 'critical'],
  ] as const)('an event of severity %s proposes a task of severity %s', (severity, expected) => {
    const task = { type: 'a.b', title: 'x', target: 'y', targetRole: 'Custom', risk: 'low' } as const;
    expect(plan(aWormhole({ kind: 'create-task', task }), { severity })).toMatchObject({
      effect: { task: { severity: expected } },
    });
  });

  test('a payload that grows beyond what an event may have is a failure, not an event', () => {
    const emit = { type: 'x.y', payload: { one: '{{payload}}', two: '{{payload}}' } };
    const payload = { text: 'ä'.repeat(80_000) };
    expect(plan(aWormhole({ kind: 'transform', emit }), { payload })).toMatchObject({
      outcome: 'failed',
      why: expect.stringContaining('bytes'),
    });
    expect(plan(aWormhole({ kind: 'transform', emit: { type: 'x.y' } }), { payload }).outcome).toBe('acts');
  });

  test('a template reads nothing that the event does not hold', () => {
    const payload = {
      a: '{{payload.__proto__}}',
      b: '{{payload.constructor.name}}',
      c: '{{payload.list.length}}',
      d: 'is {{payload.toString}}',
    };
    expect(
      plan(aWormhole({ kind: 'transform', emit: { type: 'x.y', payload } }), { payload: { list: [1] } }),
    ).toMatchObject({
      effect: { event: { payload: { d: 'is ' } } },
    });
  });

  test('an event goes through sixteen wormholes at most, whatever a wormhole says of itself', () => {
    const path = Array.from({ length: 16 }, (_, n) => `whl_x${n}`);
    expect(plan({ ...aWormhole({ kind: 'log' }), maxHops: 99 }, { path })).toMatchObject({
      outcome: 'folded',
    });
    expect(plan(aWormhole({ kind: 'log' }), { path: path.slice(1) })).toMatchObject({ outcome: 'acts' });
  });
});

describe('what is refused before it is stored', () => {
  const emit = { type: 'shop.order.again' };
  const shop = { types: ['shop.order.*'] };

  test.each<[string, WormholeAction, Partial<EventMatch>, string | null]>([
    ['a transform that takes what it emits', { kind: 'transform', emit }, shop, 'would take what it emits'],
    [
      'a count that takes what it emits',
      { kind: 'aggregate', count: 2, windowSeconds: 5, emit },
      {},
      'would take what it emits',
    ],
    ['one that takes another type', { kind: 'transform', emit: { type: 'billing.order' } }, shop, null],
    [
      'one that takes louder events only',
      { kind: 'transform', emit: { ...emit, severity: 'info' } },
      { ...shop, minSeverity: 'error' },
      null,
    ],
    [
      'one that leaves events of this system out',
      { kind: 'transform', emit },
      { ...shop, excludeSourceTypes: ['system'] },
      null,
    ],
    ['one that takes another source', { kind: 'transform', emit }, { ...shop, sources: ['api:*'] }, null],
    [
      'one that takes its own source',
      { kind: 'transform', emit },
      { ...shop, sources: ['system:wormhole:*'] },
      'would take',
    ],
    [
      'one for another destination',
      { kind: 'transform', emit: { ...emit, destination: 'b' } },
      { ...shop, destination: 'a' },
      null,
    ],
    [
      'one whose filter decides it when it runs',
      { kind: 'transform', emit },
      { ...shop, filter: 'hops == 0' },
      null,
    ],
    ['a filter that cannot be read', { kind: 'log' }, { filter: 'payload.' }, 'line 1'],
    [
      'an event only this system writes',
      { kind: 'transform', emit: { type: 'kill-switch.engaged' } },
      shop,
      'by this system only',
    ],
    ['a place without an end', { kind: 'notify', title: 'x {{payload.a' }, {}, 'not closed'],
    [
      'a place that begins with nothing known',
      { kind: 'notify', title: '{{env.HOME}}' },
      {},
      'begins with nothing known',
    ],
    [
      'a place of a count in a transform',
      { kind: 'transform', emit: { type: 'a.b', payload: { n: '{{count}}' } } },
      shop,
      'nothing known',
    ],
    [
      'a place of a count in a count',
      { kind: 'aggregate', count: 2, windowSeconds: 5, emit: { type: 'a.b', payload: { n: '{{count}}' } } },
      shop,
      null,
    ],
    [
      'a key that begins with nothing known',
      { kind: 'aggregate', count: 2, windowSeconds: 5, key: 'x.y', emit: { type: 'a.b' } },
      shop,
      "the path 'x.y'",
    ],
  ])('%s', (_what, action, match, why) => {
    const refusal = checkWormhole(aWormhole(action, match));
    if (why === null) expect(refusal).toBeNull();
    else expect(refusal?.message).toContain(why);
  });

  test.each([
    ...['graft.install.failed', 'halo.cycle.completed', 'api.probe.failed', 'event.processing.failed'],
    'wormhole.suggested',
  ])('an event of the type %s, which nobody may send either', (type) => {
    for (const action of [
      { kind: 'transform', emit: { type } } as const,
      { kind: 'aggregate', count: 2, windowSeconds: 5, emit: { type } } as const,
    ])
      expect(checkWormhole(aWormhole(action, shop))?.message).toContain('by this system only');
  });

  test('what others may say, a wormhole may say too', () => {
    const open = speechRules.filter(({ from }) => from.length > 0).flatMap(({ types }) => types);
    for (const pattern of [...open, 'custom.suggested'])
      expect(
        checkWormhole(aWormhole({ kind: 'transform', emit: { type: pattern.replace('*', 'x.y') } }, shop)),
      ).toBeNull();
  });

  test('the presets are none of these', () => {
    expect(wormholePresets.map((preset) => checkWormhole(preset))).toEqual([null, null]);
  });
});
