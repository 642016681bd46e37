import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { taskPriorities, type TaskState, taskStates } from '../../domain/task.ts';
import { pathAfter, pathNow } from '../../domain/task-path.ts';
import { priorityScore } from '../../domain/task-priority.ts';
import {
  checkDependencies,
  checkSchedule,
  findWait,
  refuseForWait,
  type WaitFacts,
} from '../../domain/task-wait.ts';
import { propertyRuns } from './runs.ts';

const hour = 3_600_000;
const day = 24 * hour;

describe('the priority score', () => {
  test.each([
    ['urgent', null, 0, 100],
    ['high', null, 0, 75],
    ['normal', null, 0, 50],
    ['low', null, 0, 25],
    ['normal', 1, 0, 75],
    ['normal', hour, 0, 75],
    ['normal', hour + 1, 0, 60],
    ['normal', day, 0, 60],
    ['normal', day + 1, 0, 50],
    ['low', -1, 0, 200],
    ['urgent', -1, 3, 200],
    ['normal', 0, 0, 75],
    ['high', null, 1, 82.5],
    ['urgent', hour, 2, 165],
  ] as const)('%s, due in %s ms, with %i dependencies, is %d', (priority, leftMs, dependencies, score) => {
    const now = 1_000_000;
    const dueAtMs = leftMs === null ? null : now + leftMs;
    expect(priorityScore({ priority, dueAtMs, dependencies }, now)).toBeCloseTo(score, 9);
  });

  test('nothing that is not overdue comes before what is', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...taskPriorities),
        fc.integer({ min: 0, max: 3 * day }),
        fc.nat(20),
        (priority, dueAtMs, dependencies) =>
          priorityScore({ priority, dueAtMs, dependencies }, 0) <
          priorityScore({ priority: 'low', dueAtMs: -1, dependencies: 0 }, 0),
      ),
      propertyRuns,
    );
  });
});

describe('a path', () => {
  test.each([
    [0, true, 0.1],
    [0.95, true, 1],
    [0.5, false, 0.45],
    [0.04, false, 0],
    [0.055, false, 0],
  ])('of %d becomes, after %s, %d', (before, ok, after) => {
    expect(pathAfter(before, ok)).toBeCloseTo(after, 9);
  });

  test.each([
    [1, 0, 1],
    [1, day, 0.9],
    [1, 2 * day, 0.81],
    [0.5, day / 2, 0.5 * Math.sqrt(0.9)],
    [0.011, day, 0],
    [0.5, -hour, 0.5],
  ])('of %d is after %d ms %d', (before, elapsedMs, now) => {
    expect(pathNow(before, elapsedMs)).toBeCloseTo(now, 9);
  });

  test('stays between 0 and 1, and is never fainter than a hundredth', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(10 * day)), { maxLength: 60 }), (ends) => {
        const strength = ends.reduce((held, [ok, elapsed]) => pathAfter(pathNow(held, elapsed), ok), 0);
        return strength === 0 || (strength >= 0.01 && strength <= 1);
      }),
      propertyRuns,
    );
  });
});

const facts = (given: Partial<WaitFacts> = {}): WaitFacts => ({
  ...{ nowMs: 1000, notBeforeMs: null, dependencies: [], agentName: 'keeper' },
  ...{ running: 0, limit: 2, ahead: 0, byPerson: false, ...given },
});
const on = (state: TaskState, id = 'tsk_1') => ({ id, state });

describe('what a task waits for', () => {
  test.each<[string, Partial<WaitFacts>, string | null]>([
    ['nothing', {}, null],
    ['its time', { notBeforeMs: 1001 }, 'time'],
    ['no time that has come', { notBeforeMs: 1000 }, null],
    ['an open dependency', { dependencies: [on('running')] }, 'dependencies'],
    ['no dependency that succeeded', { dependencies: [on('success')] }, null],
    ['a person after a failure', { dependencies: [on('failed'), on('running', 'tsk_2')] }, 'person'],
    ['a place', { running: 2 }, 'place'],
    ['those ahead of it', { running: 1, ahead: 1 }, 'place'],
    ['a person: the time first', { byPerson: true, notBeforeMs: 1001 }, 'time'],
    ['a person: what is open', { byPerson: true, dependencies: [on('pending')] }, 'dependencies'],
    ['a person: not what failed', { byPerson: true, dependencies: [on('rejected')] }, null],
    ['a person: the limit', { byPerson: true, running: 2 }, 'place'],
    ['a person: not those ahead', { byPerson: true, running: 1, ahead: 1 }, null],
  ])('%s', (_what, given, kind) => {
    expect(findWait(facts(given))?.on ?? null).toBe(kind);
  });

  test('only success lets a dependent task begin by itself, whatever the state', () => {
    for (const state of taskStates)
      expect(findWait(facts({ dependencies: [on(state)] })) === null).toBe(state === 'success');
  });

  test('a refused dispatch names what it waits for', () => {
    const wait = findWait(facts({ dependencies: [on('running')], byPerson: true }));
    expect(wait).not.toBeNull();
    if (wait !== null) expect(refuseForWait(wait).message).toContain('tsk_1 (running)');
    const full = findWait(facts({ running: 2 }));
    if (full !== null) expect(refuseForWait(full)).toMatchObject({ refused: 'LIMIT' });
    expect(full?.because).toContain('keeper, which runs 2 of at most 2');
  });
});

describe('a plan', () => {
  test.each([
    [null, null, null],
    [2000, 3000, null],
    [3000, 3000, 'dueAt'],
    [null, 1000, 'dueAt'],
    [500, null, null],
    [1000 + 367 * day, null, 'notBefore'],
    [null, 1000 + 367 * day, 'dueAt'],
  ])('not before %s and due at %s is refused for %s', (notBeforeMs, dueAtMs, member) => {
    const refusal = checkSchedule({ notBeforeMs, dueAtMs }, 1000);
    if (member === null) expect(refusal).toBeNull();
    else expect(refusal?.message).toContain(`${member}:`);
  });

  test('depends on what exists and can still succeed, and never on itself', () => {
    const known = new Map<string, TaskState>([
      ['tsk_a', 'running'],
      ['tsk_b', 'failed'],
      ['tsk_c', 'cancelled'],
    ]);
    expect(checkDependencies('tsk_n', ['tsk_a', 'tsk_b'], known)).toBeNull();
    expect(checkDependencies('tsk_n', ['tsk_a', 'tsk_x'], known)?.message).toContain('no task tsk_x');
    expect(checkDependencies('tsk_n', ['tsk_c'], known)?.message).toContain('can never succeed');
    expect(checkDependencies('tsk_a', ['tsk_a'], known)?.message).toContain('itself');
  });
});
