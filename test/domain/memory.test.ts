import { describe, expect, test } from 'vitest';
import { eventTypes, sporeEventTypes } from '../../domain/events.ts';
import {
  cycleDeltas,
  haloEntity,
  memorySubscription,
  movesOf,
  rememberedTypes,
  verdictDeltas,
} from '../../domain/memory.ts';
import { matchesEvent } from '../../domain/subscription.ts';
import { verdicts } from '../../domain/verdict.ts';
import { aLoggedEvent } from '../support/events.ts';

const moved = (given: Parameters<typeof aLoggedEvent>[0]) =>
  movesOf(aLoggedEvent(given)).map(({ entity, taskId, who, trait, delta }) => [
    entity ?? `${who}<${taskId}`,
    trait,
    delta,
  ]);

describe('D8: traits follow events by the names that the bus really uses', () => {
  const used: string[] = [...Object.values(eventTypes), ...Object.values(sporeEventTypes)];

  test.each(rememberedTypes)('%s is a type of the bus', (type) => {
    expect(used).toContain(type);
  });

  test('a deployed spore and a failed graft are delivered and change traits', () => {
    for (const [type, traits] of [
      ['spore.deployed', { utility: 0.05, popularity: 0.07 }],
      ['graft.install.failed', { stability: -0.08 }],
      ['graft.installed', { creativity: 0.05 }],
    ] as const) {
      const event = aLoggedEvent({ type, sourceType: 'spore', sourceId: 'spr_1' });
      expect(matchesEvent(memorySubscription.match, event)).toBe(true);
      expect(Object.fromEntries(movesOf(event).map(({ trait, delta }) => [trait, delta]))).toEqual(traits);
      expect(movesOf(event)[0]?.entity).toBe('spore:spr_1');
    }
  });

  test.each(used.filter((type) => !rememberedTypes.includes(type)))('%s moves nothing', (type) => {
    expect(moved({ type })).toEqual([]);
    expect(matchesEvent(memorySubscription.match, aLoggedEvent({ type }))).toBe(false);
  });

  test.each(['graft.failed', 'spore.instantiated', 'constructor'])('%s is no name of the bus', (type) => {
    expect(moved({ type })).toEqual([]);
  });
});

describe('the deltas of the ledger', () => {
  test.each([
    [
      'api.endpoint.failed',
      [
        ['endpoint:shop', 'reliability', -0.1],
        ['endpoint:shop', 'latency', 0.05],
      ],
    ],
    [
      'api.endpoint.success',
      [
        ['endpoint:shop', 'reliability', 0.05],
        ['endpoint:shop', 'latency', -0.02],
      ],
    ],
  ])('%s', (type, expected) => {
    expect(moved({ type })).toEqual(expected);
  });

  test('a task moves the agent of its attempt and its squad', () => {
    const task = { sourceType: 'squad', payload: { taskId: 'tsk_1', attempt: 2 } } as const;
    expect(moved({ type: 'squad.task.completed', ...task })).toEqual([
      ['agent<tsk_1', 'reliability', 0.08],
      ['agent<tsk_1', 'velocity', 0.02],
      ['squad<tsk_1', 'reliability', 0.08],
    ]);
    expect(moved({ type: 'squad.task.failed', ...task })).toEqual([
      ['agent<tsk_1', 'reliability', -0.1],
      ['squad<tsk_1', 'reliability', -0.1],
    ]);
  });

  test('a task that failed before an attempt is no fault of an agent', () => {
    expect(moved({ type: 'squad.task.failed', payload: { taskId: 'tsk_1' } })).toEqual([
      ['squad<tsk_1', 'reliability', -0.1],
    ]);
  });

  test.each([
    [0, 5, {}],
    [3, 1, { velocity: 0.03, reliability: 0.08 }],
    [50, 0, { velocity: 0.1, reliability: 0.1 }],
    [1, 100, { velocity: 0.01, reliability: -0.05 }],
  ])('a cycle with %i tasks and %i issues', (tasks, issues, expected) => {
    expect(cycleDeltas(tasks, issues)).toEqual(expected);
  });

  test('a cycle moves the squad that HALO is, whether it counts its findings or lists them', () => {
    for (const weakPoints of [2, ['a', 'b']])
      expect(moved({ type: 'halo.cycle.completed', payload: { taskIds: ['t'], weakPoints } })).toEqual([
        [haloEntity, 'reliability', 0.06],
        [haloEntity, 'velocity', 0.01],
      ]);
  });

  test.each(verdicts)('the verdict %s moves target and agent by its figures', (verdict) => {
    const payload = { verdict, target: 'probe:prb_1', taskId: 'tsk_1' };
    const { target, agent } = verdictDeltas[verdict];
    expect(moved({ type: 'halo.repair.judged', sourceType: 'halo', payload })).toEqual([
      ...Object.entries(target).map(([trait, delta]) => ['endpoint:prb_1', trait, delta]),
      ...Object.entries(agent).map(([trait, delta]) => ['agent<tsk_1', trait, delta]),
    ]);
  });

  test('what names no entity that can be remembered moves nothing', () => {
    expect(moved({ type: 'api.endpoint.failed', sourceId: 'GET /check out' })).toEqual([]);
    expect(moved({ type: 'halo.repair.judged', payload: { verdict: 'worse', target: 'deploy:x' } })).toEqual(
      [],
    );
    expect(moved({ type: 'halo.repair.judged', payload: { verdict: 'fine', target: 'probe:x' } })).toEqual(
      [],
    );
  });
});
