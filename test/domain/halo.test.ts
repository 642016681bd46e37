import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cycleSeverity, detectWeakPoints, proposesTasks } from '../../domain/halo.ts';
import {
  checkPause,
  defaultHaloLimits,
  emptyHaloLoop,
  ended,
  gather,
  type HaloLoopState,
  type HaloTrigger,
  nextStep,
  started,
} from '../../domain/halo-loop.ts';
import { planTasks } from '../../domain/plan.ts';
import { anIssue } from '../support/halo-record.ts';
import { propertyRuns } from './runs.ts';

const limits = { cooldownMs: 60_000, errorWindowMs: 30_000, cyclesPerHour: 3 };
const hour = 3_600_000;

function aTrigger(given: Partial<HaloTrigger> = {}): HaloTrigger {
  return { name: 'event', urgent: false, mode: 'full', requestedBy: null, eventIds: [], ...given };
}
const manual = aTrigger({ name: 'manual', urgent: true, requestedBy: 'prn_1' });

function waiting(trigger = aTrigger(), at = 0, state = emptyHaloLoop()): HaloLoopState {
  return gather(state, trigger, 'cyc_1', at);
}

describe('weak points', () => {
  test('everything above low severity is one, named by analyzer and key', () => {
    const issues = (['low', 'medium', 'high', 'critical'] as const).map((severity) =>
      anIssue({ severity, key: severity }),
    );
    expect(detectWeakPoints(issues).map((point) => point.id)).toEqual([
      'endpoint-health:medium',
      'endpoint-health:high',
      'endpoint-health:critical',
    ]);
  });

  test.each([
    [0, 'info'],
    [1, 'warning'],
    [9, 'warning'],
  ] as const)('a cycle with %i weak points is reported as %s', (count, severity) => {
    expect(cycleSeverity(count)).toBe(severity);
  });

  test('light cycles look and propose nothing', () => {
    expect(proposesTasks('light')).toBe(false);
    expect(proposesTasks('full')).toBe(true);
  });
});

describe('planTasks', () => {
  test('a failing endpoint becomes a repair for a person to allow', () => {
    expect(planTasks(detectWeakPoints([anIssue()]))).toEqual([
      {
        fingerprint: 'repair.api.endpoint|probe:prb_1',
        type: 'repair.api.endpoint',
        title: 'Repair shop: status 503, expected 200 to 299',
        target: 'probe:prb_1',
        targetRole: 'DeployKeeper',
        payload: { probeId: 'prb_1', url: 'http://shop/health' },
        risk: 'medium',
        severity: 'critical',
        reversible: false,
        requestedBy: 'prn_admin',
        evidence: ['evt_1'],
        blastRadius: 0,
        alsoAffected: [],
        weakPointId: 'endpoint-health:prb_1',
      },
    ]);
  });

  test('a silent agent becomes a revival of low risk', () => {
    const issue = anIssue({ analyzer: 'agent-health', entityKind: 'agent', entityId: 'agt_1' });
    expect(planTasks(detectWeakPoints([issue]))).toMatchObject([
      { type: 'agent.revive', targetRole: 'DreamOps', risk: 'low', target: 'agent:agt_1', reversible: true },
    ]);
  });

  test.each([
    ['first', ['critical', 'high'] as const],
    ['last', ['high', 'critical'] as const],
  ])(
    'findings of one fix target fold into one task, and the worst speaks, also when it comes %s',
    (_when, order) => {
      const issues = order.map((severity) => anIssue({ severity, key: severity, title: severity }));
      const tasks = planTasks(detectWeakPoints(issues));
      expect(tasks).toHaveLength(1);
      expect(tasks[0]).toMatchObject({ severity: 'critical', weakPointId: 'endpoint-health:critical' });
    },
  );

  test('findings of different targets make different tasks', () => {
    const issues = ['prb_1', 'prb_2'].map((entityId) => anIssue({ entityId, key: entityId }));
    expect(planTasks(detectWeakPoints(issues)).map((task) => task.target)).toEqual([
      'probe:prb_1',
      'probe:prb_2',
    ]);
  });

  test('nothing is proposed for what nobody answers for', () => {
    expect(planTasks(detectWeakPoints([anIssue({ owner: '' })]))).toEqual([]);
  });

  test('nothing is proposed for a finding without a strategy', () => {
    const unknown = anIssue({ analyzer: 'other' as 'agent-health' });
    expect(planTasks(detectWeakPoints([unknown]))).toEqual([]);
  });
});

describe('gather', () => {
  test('triggers while a cycle waits join it, none is forgotten (trap D10)', () => {
    let state = waiting(aTrigger({ eventIds: ['evt_1'] }), 10);
    state = gather(state, aTrigger({ eventIds: ['evt_2', 'evt_1'] }), 'cyc_2', 20);
    state = gather(state, manual, 'cyc_3', 30);
    expect(state.pending).toEqual({
      cycleId: 'cyc_1',
      sinceMs: 10,
      urgent: true,
      manual: true,
      mode: 'full',
      requestedBy: 'prn_1',
      triggers: { manual: 1, event: 2 },
      eventIds: ['evt_1', 'evt_2'],
    });
  });

  test('a trigger while a cycle runs waits for the next one and is run then (trap D10)', () => {
    let state = started(waiting(), 0);
    expect(state).toMatchObject({ pending: null, runningCycleId: 'cyc_1' });
    state = gather(state, aTrigger({ eventIds: ['evt_9'] }), 'cyc_2', 5);
    state = ended(state, 10);
    expect(nextStep(state, limits, 10)).toMatchObject({ do: 'wait' });
    expect(nextStep(state, limits, 10 + limits.cooldownMs)).toEqual({ do: 'start' });
    expect(started(state, 70_010)).toMatchObject({ runningCycleId: 'cyc_2', cycles: 2 });
  });

  test.each([
    ['light', 'light', 'light'],
    ['light', 'full', 'full'],
    ['full', 'light', 'full'],
  ] as const)('a %s and a %s trigger make one %s cycle', (first, second, mode) => {
    const state = gather(waiting(aTrigger({ mode: first })), aTrigger({ mode: second }), 'cyc_2', 1);
    expect(state.pending?.mode).toBe(mode);
  });

  test('the first person who asked is the one the cycle names', () => {
    let state = waiting();
    state = gather(state, manual, 'cyc_2', 1);
    state = gather(state, { ...manual, requestedBy: 'prn_2' }, 'cyc_3', 2);
    expect(state.pending?.requestedBy).toBe('prn_1');
  });

  test('a storm of 1,000 triggers makes one waiting cycle of bounded size, and delays it by nothing', () => {
    const aStorm = fc.array(
      fc.record({
        name: fc.constantFrom('manual', 'event'),
        urgent: fc.boolean(),
        mode: fc.constantFrom('full', 'light'),
        requestedBy: fc.constantFrom(null, 'prn_1'),
        eventIds: fc.array(fc.string({ minLength: 1, maxLength: 8 }), { maxLength: 3 }),
        afterMs: fc.nat(50),
      }),
      { minLength: 1000, maxLength: 1000 },
    );
    fc.assert(
      fc.property(aStorm, (storm) => {
        let state = emptyHaloLoop();
        let at = 0;
        for (const [index, { afterMs, ...trigger }] of storm.entries()) {
          at += index === 0 ? 0 : afterMs;
          state = gather(state, trigger, `cyc_${index}`, at);
        }
        const { pending } = state;
        expect(pending).toMatchObject({ cycleId: 'cyc_0', sinceMs: 0 });
        expect((pending?.triggers.manual ?? 0) + (pending?.triggers.event ?? 0)).toBe(1000);
        expect(pending?.eventIds.length).toBeLessThanOrEqual(20);
        expect(JSON.stringify(state).length).toBeLessThan(1500);
        const step = nextStep(state, limits, at);
        expect(step.do === 'wait' ? step.forMs : 0).toBeLessThanOrEqual(
          Math.max(0, limits.errorWindowMs - at),
        );
        expect(nextStep(started(state, at), limits, at)).toEqual({ do: 'rest' });
      }),
      { numRuns: Math.max(20, propertyRuns.numRuns / 50) },
    );
  });
});

describe('nextStep', () => {
  const after = (state: HaloLoopState, given: Partial<HaloLoopState>): HaloLoopState => ({
    ...state,
    ...given,
  });

  test.each<[string, HaloLoopState, number, unknown]>([
    ['without a trigger it rests', emptyHaloLoop(), 0, { do: 'rest' }],
    [
      'errors are gathered for the error window',
      waiting(),
      29_999,
      { do: 'wait', forMs: 1, because: 'gathering errors' },
    ],
    ['after the error window it starts', waiting(), 30_000, { do: 'start' }],
    ['a critical event starts at once', waiting(aTrigger({ urgent: true })), 0, { do: 'start' }],
    [
      'a critical event waits for the cooldown',
      after(waiting(aTrigger({ urgent: true })), { lastEndedMs: 0 }),
      1,
      { do: 'wait', forMs: 59_999, because: 'cooldown' },
    ],
    ['after the cooldown it starts', after(waiting(), { lastEndedMs: 0 }), 60_000, { do: 'start' }],
    [
      'a person need not wait for the cooldown',
      after(waiting(manual), { lastEndedMs: 0 }),
      1,
      { do: 'start' },
    ],
    [
      'a person waits for the hourly budget',
      after(waiting(manual), { startsMs: [10, 20, 30] }),
      1_000,
      { do: 'wait', forMs: hour - 990, because: 'hourly budget' },
    ],
    [
      'an hour after the oldest start there is room again',
      after(waiting(manual), { startsMs: [10, 20, 30] }),
      hour + 10,
      { do: 'start' },
    ],
    ['a paused loop rests, whoever asks', after(waiting(manual), { paused: true }), hour, { do: 'rest' }],
    [
      'the longest wait is the one that is told',
      after(waiting(), { lastEndedMs: 0, startsMs: [0, 1, 2] }),
      3,
      { do: 'wait', forMs: hour - 3, because: 'hourly budget' },
    ],
  ])('%s', (_what, state, at, expected) => {
    expect(nextStep(state, limits, at)).toEqual(expected);
  });

  test('what waited during a pause starts after it', () => {
    const paused = { ...waiting(), paused: true };
    expect(nextStep(paused, limits, 100_000)).toEqual({ do: 'rest' });
    expect(nextStep({ ...paused, paused: false }, limits, 100_000)).toEqual({ do: 'start' });
  });

  test('the limits of this release are 60 s, 30 s and 20 an hour', () => {
    expect(defaultHaloLimits).toMatchObject({
      cooldownMs: 60_000,
      errorWindowMs: 30_000,
      cyclesPerHour: 20,
    });
  });

  test('under any triggers no hour sees more cycles than its budget, and no event cycle comes within the cooldown', () => {
    const aTick = fc.record({ afterMs: fc.nat(400_000), trigger: fc.constantFrom(null, aTrigger(), manual) });
    fc.assert(
      fc.property(fc.array(aTick, { minLength: 5, maxLength: 60 }), (ticks) => {
        let state = emptyHaloLoop();
        let at = 0;
        const starts: number[] = [];
        for (const [index, { afterMs, trigger }] of ticks.entries()) {
          at += afterMs;
          if (trigger !== null) state = gather(state, trigger, `cyc_${index}`, at);
          if (nextStep(state, limits, at).do !== 'start') continue;
          const isManual = state.pending?.manual === true;
          if (!isManual && state.lastEndedMs !== null)
            expect(at - state.lastEndedMs).toBeGreaterThanOrEqual(limits.cooldownMs);
          state = ended(started(state, at), at);
          starts.push(at);
          expect(starts.filter((start) => start > at - hour).length).toBeLessThanOrEqual(
            limits.cyclesPerHour,
          );
          expect(state.startsMs.length).toBeLessThanOrEqual(limits.cyclesPerHour);
        }
      }),
      propertyRuns,
    );
  });

  test('a wait that was waited out is over: the loop never spins and never sticks', () => {
    const aState = fc.record({
      lastEndedMs: fc.option(fc.nat(hour)),
      startsMs: fc.array(fc.nat(hour), { maxLength: 6 }).map((starts) => starts.sort((a, b) => a - b)),
      trigger: fc.constantFrom(aTrigger(), manual, aTrigger({ urgent: true })),
    });
    fc.assert(
      fc.property(aState, ({ trigger, ...given }) => {
        const state = after(waiting(trigger, hour), given);
        let at = hour;
        let rounds = 0;
        for (let step = nextStep(state, limits, at); step.do === 'wait'; step = nextStep(state, limits, at)) {
          expect(step.forMs).toBeGreaterThan(0);
          at += step.forMs;
          rounds += 1;
          expect(rounds).toBeLessThan(10);
        }
        expect(nextStep(state, limits, at)).toEqual({ do: 'start' });
      }),
      propertyRuns,
    );
  });
});

describe('pause', () => {
  test.each([
    [false, true, null],
    [true, false, null],
    [true, true, 'HALO is already paused.'],
    [false, false, 'HALO is not paused.'],
  ])('paused %s, wanted %s', (paused, wanted, message) => {
    expect(checkPause(paused, wanted)?.message ?? null).toBe(message);
  });
});
