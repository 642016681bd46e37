import { expect, test } from 'vitest';
import { countTests, formatTotals } from './support/totals.ts';

const file = (status: string, ...tests: string[]) => ({
  status,
  assertionResults: tests.map((each) => ({ status: each })),
});

test('passed and failed tests are counted over all files', () => {
  const report = {
    success: false,
    testResults: [file('passed', 'passed', 'passed'), file('failed', 'passed', 'failed')],
  };
  expect(countTests(report)).toEqual({ passed: 3, failed: 1 });
});

test.for(['pending', 'skipped', 'todo'])('a %s test has failed', (status) => {
  expect(countTests({ success: true, testResults: [file('passed', status)] })).toEqual({
    passed: 0,
    failed: 1,
  });
});

test('a file that did not load has failed', () => {
  expect(countTests({ success: false, testResults: [file('failed')] })).toEqual({ passed: 0, failed: 1 });
});

test('a run that broke outside its tests has failed', () => {
  const report = { success: false, testResults: [file('passed', 'passed')] };
  expect(countTests(report)).toEqual({ passed: 1, failed: 1 });
});

test('the totals are one line', () => {
  expect(formatTotals({ passed: 2, failed: 0 })).toBe('2 passed, 0 failed');
});
