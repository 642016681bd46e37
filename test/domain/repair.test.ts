import { expect, test } from 'vitest';
import { judgeByLife, judgeByResults } from '../../domain/repair.ts';
import type { RepairView } from '../../domain/verdict.ts';

const of = (results: number, failures: number) => ({ results, failures, latencyMs: 10 });
const view: RepairView = { baseline: of(50, 0), trouble: of(10, 10), after: of(20, 0), peers: [] };
const young = { sinceRepairMs: 1000, giveUpAfterMs: 10_000, isOverlapped: false };
const old = { ...young, sinceRepairMs: 10_000 };
const few = { ...view, after: of(2, 0) };

test.each<[string, RepairView, typeof young, object | null]>([
  ['enough results are judged', view, young, { state: 'judged', verdict: 'recovered-by-action' }],
  ['too few so far are watched on', few, young, null],
  ['too few after the time given are given up', few, old, { state: 'not-judgeable' }],
  [
    'too few before another repair are given up',
    few,
    { ...young, isOverlapped: true },
    { state: 'not-judgeable' },
  ],
  ['without a normal nothing is said', { ...view, baseline: of(4, 0) }, young, { state: 'not-judgeable' }],
])('%s', (_what, seen, age, judged) => {
  const said = judgeByResults(seen, age);
  if (judged === null) expect(said).toBeNull();
  else expect(said).toMatchObject({ ...judged, because: expect.any(String) });
});

test.each<[string, Parameters<typeof judgeByLife>[0], string | null]>([
  ['a sign of life', { isBack: true, sinceRepairMs: 1, peers: [] }, 'recovered-by-action'],
  [
    'a sign of life while the others stay silent',
    { isBack: true, sinceRepairMs: 1, peers: [{ isBack: false }] },
    'recovered-by-action',
  ],
  [
    'a sign of life with the others',
    { isBack: true, sinceRepairMs: 1, peers: [{ isBack: true }] },
    'recovered-anyway',
  ],
  ['silence so far', { isBack: false, sinceRepairMs: 1, peers: [] }, null],
  ['silence for ten minutes', { isBack: false, sinceRepairMs: 600_000, peers: [] }, 'no-change'],
])('of an agent: %s', (_what, life, verdict) => {
  const said = judgeByLife(life);
  expect(said === null ? null : said.state === 'judged' && said.verdict).toBe(verdict);
});
