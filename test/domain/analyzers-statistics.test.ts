import { describe, expect, test } from 'vitest';
import {
  analyzeEndpointLook,
  analyzeEndpoints,
  type EndpointSnapshot,
} from '../../domain/analyzers/endpoint-health.ts';
import { analyzeSquads, type SquadSnapshot } from '../../domain/analyzers/squad-efficiency.ts';
import type { Point } from '../../domain/change-detection.ts';

const startMs = Date.parse('2026-01-01T00:00:00.000Z');

/** Results a minute apart: a number is the latency of a good one, null a failure. */
function seriesOf(results: (number | null)[]): Point[] {
  return results.map((latencyMs, index) => ({
    ...{ atMs: startMs + index * 60_000, results: 1, failures: latencyMs === null ? 1 : 0, latencyMs },
  }));
}

const good = (many: number, latencyMs = 100): number[] =>
  Array.from({ length: many }, (_, index) => latencyMs * (index % 2 === 0 ? 0.95 : 1.05));

/** An endpoint as its results left it. */
function endpoint(results: (number | null)[], given: Partial<EndpointSnapshot> = {}): EndpointSnapshot {
  const last = results.at(-1) ?? null;
  const lastGood = results.findLastIndex((each) => each !== null);
  const ok = last !== null;
  return {
    ...{ probeId: 'prb_1', name: 'shop', method: 'GET', url: 'http://shop/', owner: 'prn_admin' },
    last: { ok, status: ok ? 200 : 503, latencyMs: last ?? 5, failures: ok ? [] : ['status 503'] },
    consecutiveFailures: results.length - 1 - lastGood,
    evidence: ['evt_failed'],
    answers: ['evt_answered'],
    series: seriesOf(results),
    ...given,
  };
}

const severitiesOf = (results: (number | null)[]) =>
  analyzeEndpoints([endpoint(results)]).map(({ severity }) => severity);
const down = (many: number): null[] => Array.from({ length: many }, () => null);

describe('an endpoint with a good history', () => {
  test('that fails once is reported, and is no weak point', () => {
    expect(severitiesOf([...good(60), null])).toEqual(['low']);
  });

  test('that is down is critical by its third failure in a row', () => {
    expect(severitiesOf([...good(60), ...down(3)])).toEqual(['critical']);
    expect(severitiesOf([...good(200), ...down(3)])).toEqual(['critical']);
  });

  test('that fails twice is a weak point already while one that it needs is down, and none that is alone', () => {
    const database = endpoint([...good(60), ...down(3)], { probeId: 'prb_db' });
    const shop = (results: (number | null)[], dependsOn: string[]) =>
      analyzeEndpoints([database, endpoint(results, { dependsOn })]).find(({ key }) => key === 'prb_1')
        ?.severity;
    expect(shop([...good(60), null, 100, null], ['prb_db'])).toBe('critical');
    expect(shop([...good(60), null, 100, null], [])).toBe('low');
    expect(shop([...good(62), null], ['prb_db'])).toBe('low');
    expect(shop([...good(60), null, null, ...good(30)], ['prb_db'])).toBeUndefined();
  });

  test('that fails by another assertion is high, not critical', () => {
    const last = { ok: false, status: 404, latencyMs: 5, failures: ['status 404'] };
    const [issue] = analyzeEndpoints([endpoint([...good(60), ...down(3)], { last })]);
    expect(issue?.severity).toBe('high');
  });

  test('that fails again and again is found while it answers, until it has answered five times in a row', () => {
    const flapping = [...good(60), null, null, 100, null, null, 100, null, null, 100];
    expect(severitiesOf(flapping)).toEqual(['high']);
    expect(severitiesOf([...flapping, ...good(3)])).toEqual(['high']);
    const recovered = analyzeEndpoints([endpoint([...flapping, ...good(4)])]);
    expect(recovered.filter(({ severity }) => severity !== 'low')).toEqual([]);
  });

  test('that has recovered for long says nothing', () => {
    expect(severitiesOf([...good(60), ...down(3), ...good(40)])).toEqual([]);
  });

  test('that answers ever slower is high long before 2,500 ms, with the answers that show it', () => {
    const drifting = [...good(60), ...Array.from({ length: 15 }, (_, index) => 150 + index * 20)];
    const [issue] = analyzeEndpoints([endpoint(drifting)]);
    expect(issue).toMatchObject({ key: 'prb_1:slow', severity: 'high', evidence: ['evt_answered'] });
    expect(issue?.observed?.now).toBe(430);
    expect(issue?.observed?.normal).toBeLessThan(150);
    expect(issue?.title).toContain('430 ms');
  });

  test('that is slower by some milliseconds is no weak point', () => {
    expect(severitiesOf([...good(60, 4), ...good(30, 12)])).toEqual([]);
  });

  test('that was slow once is low; one that always is, is high', () => {
    expect(severitiesOf([...good(60), 2_600])).toEqual(['low']);
    expect(severitiesOf(good(60, 3_000))).toEqual(['high']);
  });

  test('and steady noise says nothing', () => {
    expect(severitiesOf(good(400))).toEqual([]);
  });
});

describe('an endpoint without a good history', () => {
  test.each([
    ['a first failure', [null]],
    ['a failure after nineteen good results', [...good(19), null]],
    ['one that was down from the beginning', down(60)],
    ['one that fails as often as not', [...Array.from({ length: 30 }, () => [100, null]).flat(), null]],
  ])('is judged by the rules of the ledger: %s is critical', (_what, results) => {
    expect(severitiesOf(results)).toEqual(['critical']);
  });

  test('nor one that never ran says anything', () => {
    expect(analyzeEndpoints([endpoint([], { last: null })])).toEqual([]);
  });
});

describe('what shows an issue', () => {
  test('is what is normal, what is now, the score with its limit, and since when', () => {
    const [issue] = analyzeEndpoints([endpoint([...good(60), ...down(4)])]);
    expect(issue?.observed).toMatchObject({
      ...{ now: 1, results: 64, failures: 4, failuresInARow: 4 },
      since: new Date(startMs + 60 * 60_000).toISOString(),
      ...{ normal: expect.any(Number), score: expect.any(Number), limit: expect.any(Number) },
    });
    expect(Number(issue?.observed?.score)).toBeGreaterThanOrEqual(Number(issue?.observed?.limit));
    expect(issue?.sinceMs).toBe(startMs + 60 * 60_000);
  });

  test('is no part of what a repair is told', () => {
    const [issue] = analyzeEndpoints([endpoint([...good(60), ...down(4)])]);
    expect(issue?.subject).toEqual({ probeId: 'prb_1', name: 'shop', method: 'GET', url: 'http://shop/' });
  });

  test('names the endpoints that it cannot do without', () => {
    const [issue] = analyzeEndpoints([endpoint([null], { dependsOn: ['prb_db'] })]);
    expect(issue?.dependsOn).toEqual(['endpoint:prb_db']);
  });

  test('also says how many endpoints could not be looked at closely, as a low issue', () => {
    const endpoints = [endpoint(good(30))];
    expect(analyzeEndpointLook({ endpoints, withoutSeries: 0 })).toEqual([]);
    expect(analyzeEndpointLook({ endpoints, withoutSeries: 7 })).toMatchObject([
      { severity: 'low', title: expect.stringContaining('7 endpoints') },
    ]);
  });
});

function squad(hours: [failed: number, completed: number][], given: Partial<SquadSnapshot> = {}) {
  const series = hours.map(([failures, completed], index) => ({
    ...{ atMs: startMs + index * 3_600_000, results: failures + completed, failures, latencyMs: null },
  }));
  return { squad: 'night', owner: 'prn_admin', series, evidence: ['evt_1'], idleForDays: 0, ...given };
}

describe('squad-efficiency', () => {
  test.each<[string, [number, number][], string[]]>([
    ['more than 0.3 of ten tasks is high', [[4, 6]], ['high']],
    ['exactly 0.3 is not', [[3, 7]], []],
    ['nine tasks are not enough', [[9, 0]], []],
    [
      'what failed before its newest fifty tasks is not held against it',
      [[40, 0], ...[[0, 30]], [0, 30]],
      [],
    ],
    [
      'far more failures than it used to have are high below 0.3',
      [...Array.from({ length: 20 }, (): [number, number] => [0, 10]), [3, 7], [3, 8], [3, 7]],
      ['high'],
    ],
    ['nothing that ended is no failure', [], []],
  ] as [string, [number, number][], string[]][])('%s', (_what, hours, severities) => {
    expect(analyzeSquads([squad(hours)]).map(({ severity }) => severity)).toEqual(severities);
  });

  test('tells how many of how many failed, and the events that show it', () => {
    expect(analyzeSquads([squad([[8, 12]])])).toMatchObject([
      {
        ...{ key: 'night', entityKind: 'squad', entityId: 'night', owner: 'prn_admin', evidence: ['evt_1'] },
        ...{ title: '8 of its newest 20 tasks failed', subject: { squad: 'night' } },
        observed: { failed: 8, ended: 20, share: 0.4, limit: 0.3 },
      },
    ]);
  });

  test('a squad without a task for a week is a recommendation; a role is nobody who could be idle', () => {
    expect(analyzeSquads([squad([], { idleForDays: 7.5 })])).toMatchObject([
      { key: 'night:idle', severity: 'low', title: 'no task for 7 days' },
    ]);
    expect(analyzeSquads([squad([], { idleForDays: 6.9 })])).toEqual([]);
    expect(analyzeSquads([squad([], { squad: 'role/DreamOps', idleForDays: null })])).toEqual([]);
  });
});
