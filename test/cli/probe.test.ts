import { expect, test } from 'vitest';
import { describeIssue } from '../../cli/halo-issue.ts';

test('an issue of a cycle is shown with its figures and events', () => {
  const lines = describeIssue({
    ...{ id: 'iss_1', analyzer: 'endpoint-health', entityKind: 'probe', entityId: 'prb_1' },
    ...{ severity: 'high', title: 'answers in 430 ms', evidence: ['evt_2', 'evt_1'] },
    observed: { normal: 100, now: 430, change: { score: 9 }, lastLatencyMs: null },
  });
  expect(lines).toEqual([
    'issue       high      probe prb_1: answers in 430 ms',
    '            normal 100, now 430, change {"score":9}, lastLatencyMs none',
    '            shown by evt_2, evt_1',
  ]);
});

test('what others wrote cannot move the cursor', () => {
  const title = 'status \u001b[2J';
  const issue = { id: 'i', analyzer: 'a', entityKind: 'probe', entityId: 'p', severity: 'low', title };
  expect(describeIssue({ ...issue, evidence: [], observed: {} }).join('')).not.toContain('\u001b');
});
