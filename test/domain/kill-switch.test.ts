import { describe, expect, test } from 'vitest';
import {
  allows,
  checkScope,
  coversWork,
  epochFor,
  holdFor,
  type KillSwitch,
  levelFor,
  stopFor,
  type SwitchAction,
  type SwitchLevel,
  switchLevels,
} from '../../domain/kill-switch.ts';

const aSwitch = (scope: string, level: SwitchLevel, epoch = 1): KillSwitch => ({
  scope,
  level,
  epoch,
  reason: 'the disk smells',
  engagedBy: 'olga',
  engagedAt: '2026-11-27T04:00:00.000Z',
});
const shop = { kind: 'task', target: 'probe:shop' };

describe('levels', () => {
  test.each<[SwitchLevel, SwitchAction[]]>([
    ['observe', []],
    ['propose', ['propose']],
    ['approve-only', ['propose', 'approve']],
    ['dispatch', ['propose', 'approve', 'dispatch']],
  ])('%s allows exactly %j', (level, allowed) => {
    const actions: SwitchAction[] = ['propose', 'approve', 'dispatch'];
    expect(actions.filter((action) => allows(level, action))).toEqual(allowed);
  });

  test('a higher level allows all that a lower one does', () => {
    for (const action of ['propose', 'approve', 'dispatch'] as const) {
      const answers = switchLevels.map((level) => allows(level, action));
      expect(answers).toEqual([...answers].sort());
    }
  });
});

describe('scopes', () => {
  test.each(['all', 'kind:task', 'kind:probe', 'target:probe:shop', 'target:probe:*', 'target:x'])(
    '%s is one',
    (scope) => expect(checkScope(scope)).toBeNull(),
  );

  test.each([
    '',
    'ALL',
    'all:',
    'kind:',
    'kind:outcome',
    'kind:nonsense',
    'target:',
    'target:*',
    'target:pro*be',
    'target:a\nb',
    'probe:shop',
  ])('"%s" is none, and the refusal lists what is', (scope) =>
    expect(checkScope(scope)).toMatchObject({
      refused: 'INVALID',
      message: expect.stringContaining('target:TARGET'),
    }),
  );

  test.each<[string, boolean]>([
    ['all', true],
    ['kind:task', true],
    ['kind:fabric', false],
    ['target:probe:shop', true],
    ['target:probe:sho', false],
    ['target:probe:shopping', false],
    ['target:probe:*', true],
    ['target:probe:shop*', true],
    ['target:agent:*', false],
  ])('%s covers a task on probe:shop: %s', (scope, covers) => {
    expect(coversWork(scope, shop)).toBe(covers);
  });
});

describe('what holds a piece of work', () => {
  test('nothing does where no switch is, or all are released', () => {
    expect(levelFor([], shop)).toEqual({ level: 'dispatch', by: null });
    expect(levelFor([aSwitch('all', 'dispatch')], shop)).toEqual({ level: 'dispatch', by: null });
    expect(holdFor([aSwitch('target:probe:other', 'observe')], shop, 'dispatch')).toBeNull();
  });

  test('the lowest level of the matching scopes counts, whatever its scope', () => {
    const switches = [
      aSwitch('all', 'approve-only', 3),
      aSwitch('kind:task', 'observe', 1),
      aSwitch('target:probe:*', 'propose', 2),
      aSwitch('target:agent:*', 'observe', 4),
    ];
    expect(levelFor(switches, shop)).toMatchObject({ level: 'observe', by: { scope: 'kind:task' } });
  });

  test('of two at the same level the newest is named', () => {
    const switches = [aSwitch('all', 'propose', 1), aSwitch('kind:task', 'propose', 2)];
    expect(levelFor(switches, shop).by?.scope).toBe('kind:task');
  });

  test('the refusal says scope, level, who, when, why and how it ends', () => {
    const refusal = holdFor([aSwitch('target:probe:*', 'approve-only', 9)], shop, 'dispatch');
    expect(refusal?.refused).toBe('CONFLICT');
    for (const part of [
      'target:probe:*',
      'approve-only',
      'olga',
      '2026-11-27T04:00:00.000Z',
      'the disk smells',
      "kill-switch release --scope 'target:probe:*'",
    ])
      expect(refusal?.message).toContain(part);
    expect(refusal?.details).toMatchObject({ killSwitch: { epoch: 9 }, action: 'dispatch' });
  });
});

describe('epochs', () => {
  const switches = [
    aSwitch('all', 'dispatch', 2),
    aSwitch('target:probe:*', 'propose', 5),
    aSwitch('kind:fabric', 'observe', 8),
  ];

  test('work has the highest epoch of the switches over it, released ones too', () => {
    expect(epochFor(switches, shop)).toBe(5);
    expect(epochFor(switches, { kind: 'fabric', target: 'x' })).toBe(8);
    expect(epochFor(switches, { kind: 'task', target: 'x' })).toBe(2);
    expect(epochFor([], shop)).toBe(0);
  });

  test('what began before an engage stops, what began after its release does not', () => {
    expect(stopFor(switches, shop, 4)).toBe(
      'stopped by the kill switch (target:probe:*, engaged by olga: the disk smells)',
    );
    expect(stopFor(switches, shop, 5)).toBeNull();
    expect(stopFor(switches, { kind: 'task', target: 'x' }, 2)).toBeNull();
  });
});
