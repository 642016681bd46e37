import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judgeRepair, type RepairView, type Stretch, verdicts } from '../../domain/verdict.ts';
import { propertyRuns } from './runs.ts';

/** So many results, so many of them failed, and how long the others took. */
function stretch(results: number, failures: number, latencyMs: number | null = 100): Stretch {
  return { results, failures, latencyMs: failures === results ? null : latencyMs };
}

const well = stretch(10, 0);
const down = stretch(10, 10);
const slow = stretch(10, 0, 400);

function view(more: Partial<RepairView>): RepairView {
  return { baseline: stretch(100, 1), trouble: down, after: well, peers: [], ...more };
}

describe('a repair is judged', () => {
  test.each<[string, Partial<RepairView>, string | null]>([
    ['not before enough was seen', { after: stretch(4, 0) }, null],
    ['it helped when its target is back to its normal', {}, 'recovered-by-action'],
    ['a single failure since does not count against it', { after: stretch(10, 1) }, 'recovered-by-action'],
    ['a target that still fails is unchanged', { after: down }, 'no-change'],
    [
      'a target that still flaps is unchanged',
      { trouble: stretch(20, 9), after: stretch(10, 4) },
      'no-change',
    ],
    ['a target that fails more than before is worse', { trouble: stretch(20, 6), after: down }, 'worse'],
    ['a slow target that is fast again was helped', { trouble: slow }, 'recovered-by-action'],
    ['a slow target that is still slow is unchanged', { trouble: slow, after: slow }, 'no-change'],
    ['a slow target that is slower is worse', { trouble: slow, after: stretch(10, 0, 900) }, 'worse'],
    ['a target that answers slowly instead of not at all is not well', { after: slow }, 'no-change'],
    ['a target that was well before the repair needed none', { before: stretch(5, 0) }, 'recovered-anyway'],
    [
      'a target that was in trouble until the repair needed it',
      { before: stretch(5, 5) },
      'recovered-by-action',
    ],
    ['a target that recovered only later was not helped', { early: stretch(5, 5) }, 'recovered-anyway'],
    ['a target that recovered at once was', { early: stretch(5, 0) }, 'recovered-by-action'],
    [
      'when most untouched peers are back too, it would have recovered anyway',
      {
        peers: [
          { trouble: down, after: well },
          { trouble: down, after: well },
          { trouble: down, after: down },
        ],
      },
      'recovered-anyway',
    ],
    [
      'when untouched peers are still in trouble, it was the repair',
      {
        peers: [
          { trouble: down, after: down },
          { trouble: down, after: well },
        ],
      },
      'recovered-by-action',
    ],
    [
      'peers that were never in trouble, or not seen since, say nothing',
      {
        peers: [
          { trouble: well, after: well },
          { trouble: down, after: stretch(1, 0) },
        ],
      },
      'recovered-by-action',
    ],
    [
      'a peer is measured by its own normal',
      {
        trouble: slow,
        peers: [{ baseline: stretch(50, 0, 500), trouble: stretch(9, 0, 2000), after: stretch(9, 0, 520) }],
      },
      'recovered-anyway',
    ],
    [
      'peers that recovered do not make a repair that failed look better',
      { after: down, peers: [{ trouble: down, after: well }] },
      'no-change',
    ],
  ])('%s', (_, more, expected) => {
    expect(judgeRepair(view(more))?.verdict ?? null).toBe(expected);
  });

  test('each verdict says why', () => {
    expect(judgeRepair(view({}))?.because).toBe('it is back to its normal since the repair');
    expect(judgeRepair(view({ peers: [{ trouble: down, after: well }] }))?.because).toBe(
      '1 of 1 untouched peers recovered too',
    );
  });
});

describe('any view', () => {
  const any = fc
    .tuple(
      fc.integer({ min: 0, max: 60 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: 9000 }),
    )
    .map(([results, share, latencyMs]) => stretch(results, Math.round(share * results), latencyMs));
  const peers = fc.array(fc.record({ trouble: any, after: any }), { maxLength: 4 });
  const views = fc.record({ baseline: any, trouble: any, after: any, peers });

  test('has a known verdict with a reason, or none while too little was seen', () => {
    fc.assert(
      fc.property(views, (one) => {
        const judged = judgeRepair(one);
        if (one.after.results < 5) expect(judged).toBeNull();
        else {
          expect(verdicts).toContain(judged?.verdict);
          expect(judged?.because).not.toBe('');
        }
      }),
      propertyRuns,
    );
  });

  test('more failures since the repair never make it look better', () => {
    const rank = { worse: 0, 'no-change': 1, 'recovered-anyway': 2, 'recovered-by-action': 2 };
    fc.assert(
      fc.property(views, fc.nat(20), (one, more) => {
        const { results, failures, latencyMs } = one.after;
        const after = { results, failures: Math.min(results, failures + more), latencyMs };
        const [before, then] = [judgeRepair(one), judgeRepair({ ...one, after })];
        if (before === null || then === null) return;
        expect(rank[then.verdict]).toBeLessThanOrEqual(rank[before.verdict]);
      }),
      propertyRuns,
    );
  });

  test('the order of peers does not matter', () => {
    fc.assert(
      fc.property(views, (one) => {
        expect(judgeRepair({ ...one, peers: one.peers.toReversed() })).toEqual(judgeRepair(one));
      }),
      propertyRuns,
    );
  });
});
