import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import {
  canMove,
  checkDispatch,
  checkRetry,
  type DispatchFacts,
  isEnded,
  maxAttempts,
  openTaskStates,
  readAgentResult,
  statesBefore,
  type TaskState,
  taskStates,
} from '../../domain/task.ts';
import { propertyRuns } from './runs.ts';

const arrows: Record<TaskState, TaskState[]> = {
  suggested: ['pending-approval', 'cancelled'],
  'pending-approval': ['pending', 'rejected', 'expired', 'cancelled'],
  pending: ['running', 'pending-approval', 'cancelled'],
  running: ['success', 'failed', 'cancelled'],
  failed: ['pending', 'pending-approval'],
  success: [],
  rejected: [],
  expired: [],
  cancelled: [],
};
const pairs = taskStates.flatMap((from) =>
  taskStates.map((to) => [from, to, arrows[from].includes(to)] as const),
);

describe('moves', () => {
  test.each(pairs)('%s to %s: %s', (from, to, allowed) => {
    expect(canMove(from, to)).toBe(allowed);
    expect(statesBefore(to).includes(from)).toBe(allowed);
  });

  test('only a pending task is ever set running', () => {
    expect(statesBefore('running')).toEqual(['pending']);
  });

  test('nothing becomes pending without an approval or a retry', () => {
    expect(statesBefore('pending')).toEqual(['pending-approval', 'failed']);
  });

  test.each(taskStates)('%s has ended exactly when it is not open', (state) => {
    const isOpen = ['suggested', 'pending-approval', 'pending', 'running'].includes(state);
    expect(isEnded(state)).toBe(!isOpen);
    expect((openTaskStates as readonly string[]).includes(state)).toBe(isOpen);
  });

  test('every open task can be cancelled, and no ended one', () => {
    for (const state of taskStates) expect(canMove(state, 'cancelled')).toBe(!isEnded(state));
  });
});

function dispatchable(given: Partial<DispatchFacts> = {}): DispatchFacts {
  return {
    state: 'pending',
    approvalState: 'approved',
    approvedDigest: 'd1',
    currentDigest: 'd1',
    binding: { agentId: 'agt_1', executor: 'command', configVersion: 1 },
    attempt: 0,
    role: 'DeployKeeper',
    ...given,
  };
}

describe('checkDispatch', () => {
  test('a pending task with an approval of exactly its content is dispatched', () => {
    expect(checkDispatch(dispatchable())).toBeNull();
  });

  test.each(taskStates.filter((state) => state !== 'pending'))(
    'a task that is %s is not dispatched (trap D3)',
    (state) => {
      expect(checkDispatch(dispatchable({ state }))).toMatchObject({
        refused: 'CONFLICT',
        details: { state },
      });
    },
  );

  test.each(['open', 'rejected', 'expired', 'void', 'withdrawn', null])(
    'an approval that is %s lets nothing run',
    (approvalState) => {
      expect(checkDispatch(dispatchable({ approvalState }))).toMatchObject({ refused: 'FORBIDDEN' });
    },
  );

  test('content that moved since the approval does not run', () => {
    expect(checkDispatch(dispatchable({ currentDigest: 'd2' }))).toMatchObject({
      refused: 'STALE',
      details: { approved: 'd1', current: 'd2' },
    });
  });

  test('a task that nobody takes says which role is missing', () => {
    const refusal = checkDispatch(dispatchable({ binding: null }));
    expect(refusal).toMatchObject({ refused: 'CONFLICT' });
    expect(refusal?.message).toContain('DeployKeeper');
  });

  test('the last attempt runs, the one after it does not', () => {
    expect(checkDispatch(dispatchable({ attempt: maxAttempts - 1 }))).toBeNull();
    expect(checkDispatch(dispatchable({ attempt: maxAttempts }))).toMatchObject({ refused: 'LIMIT' });
  });

  test('whatever else is true, only pending with a matching approval runs', () => {
    fc.assert(
      fc.property(
        fc.record({
          state: fc.constantFrom(...taskStates),
          approvalState: fc.constantFrom('open', 'approved', 'rejected', 'void', null),
          approvedDigest: fc.constantFrom('d1', 'd2', null),
          currentDigest: fc.constantFrom('d1', 'd2'),
          binding: fc.constantFrom(null, { agentId: 'a', executor: 'http' as const, configVersion: 1 }),
          attempt: fc.nat(maxAttempts + 1),
          role: fc.constant('Custom'),
        }),
        (facts) => {
          if (checkDispatch(facts) !== null) return;
          expect(facts).toMatchObject({ state: 'pending', approvalState: 'approved' });
          expect(facts.approvedDigest).toBe(facts.currentDigest);
          expect(facts.binding).not.toBeNull();
          expect(facts.attempt).toBeLessThan(maxAttempts);
        },
      ),
      propertyRuns,
    );
  });
});

describe('checkRetry (trap D14)', () => {
  const failed = { state: 'failed' as TaskState, attempt: 1, approvedDigest: 'd1', currentDigest: 'd1' };

  test('an unchanged failed task may run again under its approval', () => {
    expect(checkRetry(failed)).toBe('approval-stands');
  });

  test('a changed one may run again, after a new approval', () => {
    expect(checkRetry({ ...failed, currentDigest: 'd2' })).toBe('approval-void');
    expect(checkRetry({ ...failed, approvedDigest: null })).toBe('approval-void');
  });

  test.each(taskStates.filter((state) => state !== 'failed'))('a task that is %s is not retried', (state) => {
    expect(checkRetry({ ...failed, state })).toMatchObject({ refused: 'CONFLICT', details: { state } });
  });

  test('a task that has used its attempts is not retried', () => {
    expect(checkRetry({ ...failed, attempt: maxAttempts })).toMatchObject({ refused: 'LIMIT' });
  });
});

const noAnswer = { ok: false, summary: 'The agent did not answer {"ok": boolean, "summary": string}.' };

describe('readAgentResult', () => {
  test.each<[string, unknown, unknown]>([
    ['a plain answer', { ok: true, summary: 'done' }, { ok: true, summary: 'done' }],
    ['a failure', { ok: false, summary: 'no' }, { ok: false, summary: 'no' }],
    [
      'an answer with data',
      { ok: true, summary: 'a', output: { n: 1 } },
      { ok: true, summary: 'a', output: { n: 1 } },
    ],
    ['unknown members are dropped', { ok: true, summary: 'a', admin: true }, { ok: true, summary: 'a' }],
    ['nothing', undefined, noAnswer],
    ['null', null, noAnswer],
    ['a text', 'ok', noAnswer],
    ['a list', [true, 'done'], noAnswer],
    ['ok as a text', { ok: 'true', summary: 'done' }, noAnswer],
    ['ok as a number', { ok: 1, summary: 'done' }, noAnswer],
    ['no summary', { ok: true }, noAnswer],
    ['a summary that is no text', { ok: true, summary: { toString: 'x' } }, noAnswer],
    ['output that is a list', { ok: true, summary: 'a', output: [1] }, { ok: true, summary: 'a' }],
    ['output that is a text', { ok: true, summary: 'a', output: 'x' }, { ok: true, summary: 'a' }],
    ['output that is null', { ok: true, summary: 'a', output: null }, { ok: true, summary: 'a' }],
  ])('%s', (_what, answer, expected) => {
    expect(readAgentResult(answer)).toEqual(expected);
  });

  test('a long summary is cut with a mark', () => {
    const { summary } = readAgentResult({ ok: true, summary: 'x'.repeat(5000) });
    expect(summary).toBe(`${'x'.repeat(2000)} [cut]`);
    expect(readAgentResult({ ok: true, summary: 'x'.repeat(2000) }).summary).toBe('x'.repeat(2000));
  });

  test('output too large for a history is dropped, and the answer says so', () => {
    const { output } = readAgentResult({ ok: true, summary: 'a', output: { text: 'x'.repeat(40_000) } });
    expect(output).toEqual({ cut: expect.stringMatching(/^400\d\d characters of output were dropped$/) });
  });

  test.each<[string, unknown]>([
    ['a NUL in the summary', { ok: true, summary: 'a\0b' }],
    ['half a character in the summary', { ok: true, summary: 'a\ud83d' }],
    ['a character cut in half by the limit', { ok: true, summary: `${'x'.repeat(1999)}😀 and more` }],
    ['a NUL in the output', { ok: true, summary: 'a', output: { deep: [{ text: 'a\0b' }] } }],
    ['half a character in the output', { ok: true, summary: 'a', output: { text: '\udc00' } }],
    ['a NUL in a key of the output', { ok: true, summary: 'a', output: { 'a\0b': 1 } }],
  ])('%s never reaches the database, which could not store it', (_what, answer) => {
    const text = JSON.stringify(readAgentResult(answer));
    expect(text).not.toMatch(/\\u0000|\\ud[89a-f]/);
    expect(readAgentResult(answer)).toMatchObject({ ok: true });
  });

  test('output nested for ever is dropped, and the answer says so', () => {
    const bomb: unknown = JSON.parse(`${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`);
    expect(readAgentResult({ ok: true, summary: 'a', output: bomb })).toEqual({
      ok: true,
      summary: 'a',
      output: { cut: 'output deeper than 64 levels was dropped' },
    });
  });

  test('an emoji in an answer is kept', () => {
    const answer = { ok: true, summary: 'fine 😀', output: { mood: '😀' } };
    expect(readAgentResult(answer)).toEqual(answer);
  });

  test('whatever an agent answers, the result has the promised shape and size', () => {
    const hostile = fc.oneof(
      fc.anything(),
      fc.record({ ok: fc.anything(), summary: fc.anything(), output: fc.anything() }),
      fc.record({
        ok: fc.boolean(),
        summary: fc.string({ unit: 'binary', maxLength: 3000 }),
        output: fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()),
      }),
    );
    fc.assert(
      fc.property(hostile, (answer) => {
        // Answers come out of JSON, so this is what can arrive.
        const arrived: unknown = toJson(answer);
        const result = readAgentResult(arrived);
        expect(typeof result.ok).toBe('boolean');
        expect(result.summary.isWellFormed()).toBe(true);
        expect(result.summary.length).toBeLessThanOrEqual(2006);
        expect(JSON.stringify(result.output ?? ({} as JsonObject)).length).toBeLessThanOrEqual(33_000);
      }),
      { numRuns: Math.max(100, propertyRuns.numRuns / 5) },
    );
  });
});

function toJson(value: unknown): unknown {
  try {
    const text = JSON.stringify(value) as string | undefined;
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
