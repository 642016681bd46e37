import { describe, expect, test } from 'vitest';
import { triggersOf } from '../../domain/bus-triggers.ts';
import {
  askersOf,
  budgetLeft,
  emptyHaloLoop,
  gather,
  nextStart,
  type TriggerName,
  triggerOf,
  triggerRules,
} from '../../domain/halo-loop.ts';

const names = Object.keys(triggerRules) as TriggerName[];
const limits = { cooldownMs: 60_000, errorWindowMs: 30_000, cyclesPerHour: 2 };
const anEvent = (given: object = {}) => ({
  ...{ id: 'evt_1', type: 'agent.error', severity: 'error' as const, sourceType: 'agent' as const },
  ...given,
});

describe('triggers', () => {
  test('load and deploys look only; everything else also proposes', () => {
    const light = names.filter((name) => triggerOf(name).mode === 'light');
    expect(light).toEqual(['requests', 'deploy']);
  });

  test('each is counted by its name, and one full trigger makes the shared cycle full', () => {
    let state = emptyHaloLoop();
    for (const name of ['deploy', 'requests', 'requests', 'time'] as const)
      state = gather(state, triggerOf(name), 'cyc_1', 7);
    expect(state.pending).toMatchObject({
      mode: 'full',
      triggers: { manual: 0, event: 0, deploy: 1, requests: 2, time: 1 },
    });
    expect(state.askedMs).toEqual({ deploy: 7, requests: 7, time: 7 });
    expect(state.pending === null ? '' : askersOf(state.pending)).toBe(
      'the schedule, the number of requests, a deploy',
    );
  });

  test("HALO's own events become no trigger, whatever their severity (K7, trap D10)", () => {
    const own = anEvent({ sourceType: 'halo', type: 'halo.weakpoint.critical', severity: 'critical' });
    expect(triggersOf([own, own])).toEqual([]);
  });

  test('a batch is one trigger for its deploys and one for the rest, urgent where one is critical', () => {
    const deploy = anEvent({ id: 'evt_2', type: 'deploy.completed', severity: 'info' });
    expect(triggersOf([anEvent(), deploy, anEvent({ id: 'evt_3', severity: 'critical' })])).toEqual([
      { name: 'deploy', mode: 'light', urgent: false, requestedBy: null, eventIds: ['evt_2'] },
      { name: 'event', mode: 'full', urgent: true, requestedBy: null, eventIds: ['evt_1', 'evt_3'] },
    ]);
  });
});

describe('what waits says why', () => {
  const waiting = gather(emptyHaloLoop(), triggerOf('errors'), 'cyc_1', 1_000);
  test.each([
    ['errors are gathered', waiting, { atMs: 31_000, because: 'gathering errors' }],
    [
      'the last cycle was just now',
      { ...waiting, lastEndedMs: 1_000 },
      { atMs: 61_000, because: 'cooldown' },
    ],
    ['the budget is spent', { ...waiting, startsMs: [0, 0] }, { atMs: 3_600_000, because: 'hourly budget' }],
    ['a cycle runs', { ...waiting, runningCycleId: 'cyc_0' }, { atMs: null }],
    ['it is paused', { ...waiting, paused: true }, { atMs: null }],
    ['nothing waits', emptyHaloLoop(), null],
  ])('%s', (_case, state, expected) => {
    const start = nextStart(state, limits, 1_000);
    if (expected === null) expect(start).toBeNull();
    else expect(start).toMatchObject(expected);
  });

  test('the budget counts the starts of the last hour only', () => {
    const state = { ...emptyHaloLoop(), startsMs: [0, 3_500_000] };
    expect(budgetLeft(state, limits, 3_599_000)).toBe(0);
    expect(budgetLeft(state, limits, 3_600_001)).toBe(1);
  });
});
