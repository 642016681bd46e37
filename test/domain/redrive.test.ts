import { describe, expect, test } from 'vitest';
import {
  chunkOf,
  countsOf,
  describeRedrive,
  failsTooOften,
  gapMs,
  nextRedriveStep,
  noneRedriven,
  pollAfterMs,
  redriveStates,
  type RedriveProgress,
} from '../../domain/redrive.ts';

const at = (given: Partial<RedriveProgress>): RedriveProgress => ({
  ...{ ...noneRedriven, state: 'canary', perMinute: 60, failedCause: null },
  ...given,
});

describe('with a canary', () => {
  test('exactly one goes first, however many a minute were asked for', () => {
    const step = nextRedriveStep(at({ waiting: 500, perMinute: 6_000 }));
    expect(step).toMatchObject({ do: 'release', canary: true, count: 1 });
  });

  test('nothing follows while it has no end', () => {
    expect(nextRedriveStep(at({ waiting: 500, released: 1 }))).toMatchObject({ do: 'wait' });
  });

  test('another takes its place when it was left out', () => {
    expect(nextRedriveStep(at({ waiting: 499, leftOut: 1 }))).toMatchObject({ do: 'release', canary: true });
  });

  test('the redrive stops with the cause when it fails again, and says how many stay open', () => {
    expect(nextRedriveStep(at({ waiting: 499, failed: 1, failedCause: 'UNREACHABLE' }))).toEqual({
      do: 'end',
      state: 'stopped',
      because: 'The canary failed again (UNREACHABLE); 499 had no turn and stay open.',
    });
  });

  test('the others follow when it is completed, and one alone is done', () => {
    expect(nextRedriveStep(at({ waiting: 499, completed: 1 }))).toMatchObject({
      ...{ do: 'release', canary: false, count: 10 },
    });
    expect(nextRedriveStep(at({ completed: 1 }))).toEqual({ do: 'end', state: 'done', because: null });
  });

  test('a redrive of which everything was handled by others is done', () => {
    expect(nextRedriveStep(at({ leftOut: 3 }))).toMatchObject({ do: 'end', state: 'done' });
  });
});

describe('the others', () => {
  const releasing = (given: Partial<RedriveProgress>) => at({ state: 'releasing', ...given });

  test.each([
    [1, 1, 60_000],
    [6, 1, 10_000],
    [60, 10, 1_000],
    [601, 101, 60_000 / 601],
    [6_000, 500, 10],
  ])('at %i a minute go out %i at once, %d ms apart', (perMinute, chunk, gap) => {
    expect(chunkOf(perMinute)).toBe(chunk);
    expect(gapMs(perMinute)).toBeCloseTo(gap);
    const step = nextRedriveStep(releasing({ waiting: 10_000, completed: 1, perMinute }));
    expect(step).toMatchObject({ do: 'release', canary: false, count: chunk });
    // Never sooner than what was asked for allows.
    expect(step.do === 'release' && step.restMs).toBeGreaterThanOrEqual(Math.floor(chunk * gap));
  });

  test('wait while two chunks of them are on their way: a paused subscription is not buried', () => {
    expect(nextRedriveStep(releasing({ waiting: 100, released: 20 }))).toMatchObject({ do: 'wait' });
    expect(nextRedriveStep(releasing({ waiting: 100, released: 19 }))).toMatchObject({ do: 'release' });
  });

  test.each([
    [7, 2, false],
    [8, 2, false],
    [0, 9, false],
    [7, 3, true],
    [80, 20, false],
    [79, 21, true],
  ])('after %i completed and %i failed too many fail: %s', (completed, failed, isTooMany) => {
    expect(failsTooOften({ completed, failed })).toBe(isTooMany);
    const step = nextRedriveStep(releasing({ waiting: 5, completed, failed, failedCause: 'REFUSED' }));
    expect(step).toMatchObject(isTooMany ? { do: 'end', state: 'stopped' } : { do: 'release' });
    if (step.do === 'end')
      expect(step.because).toBe(
        `${failed} of ${completed + failed} failed again (REFUSED); 5 had no turn and stay open.`,
      );
  });

  test('are waited for to the last one, however many of them fail', () => {
    expect(nextRedriveStep(releasing({ completed: 1, failed: 20, released: 1 }))).toMatchObject({
      do: 'wait',
    });
    expect(nextRedriveStep(releasing({ completed: 1, failed: 21 }))).toMatchObject({
      do: 'end',
      state: 'done',
    });
  });
});

test('an ended redrive does nothing more, whatever its counts are', () => {
  for (const state of redriveStates.filter((each) => each !== 'canary' && each !== 'releasing'))
    expect(nextRedriveStep(at({ state, waiting: 10, completed: 1 }))).toEqual({ do: 'return' });
});

test('every run of steps ends: each release leaves fewer waiting, and what is on its way is all it waits for', () => {
  for (const perMinute of [1, 60, 6_000])
    for (const state of ['canary', 'releasing'] as const) {
      let progress = at({ state, perMinute, waiting: 2_345 });
      let steps = 0;
      for (let step = nextRedriveStep(progress); step.do !== 'end'; step = nextRedriveStep(progress)) {
        const { waiting, released, completed } = progress;
        expect((steps += 1)).toBeLessThan(20_000);
        if (step.do === 'release')
          progress = {
            ...progress,
            state: step.canary ? progress.state : 'releasing',
            waiting: waiting - step.count,
            released: released + step.count,
          };
        else progress = { ...progress, released: 0, completed: completed + released };
      }
      expect(progress).toMatchObject({ waiting: 0, released: 0, completed: 2_345 });
    }
});

test('looks become rarer, and never rarer than each half minute', () => {
  expect([0, 1, 2, 3, 4, 5, 6, 1_000].map(pollAfterMs)).toEqual([
    ...[1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000],
  ]);
});

test('a person sees the counts in one line', () => {
  const progress = at({ state: 'releasing', completed: 12, failed: 1, released: 3, waiting: 24, leftOut: 2 });
  expect(describeRedrive(progress)).toBe(
    '**releasing**: 12 completed, 1 failed again, 3 on their way, 24 waiting, 2 left out',
  );
  expect(Object.keys(countsOf(progress)).sort()).toEqual(Object.keys(noneRedriven).sort());
});
