import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  changesOf,
  defaultDetection,
  detectChanges,
  expecting,
  isExpected,
  see,
  startWatch,
  type Point,
} from '../../domain/change-detection.ts';
import { propertyRuns } from './runs.ts';

/** One result every 30 s: `.` is good, `x` failed, `s` good but eight times as slow, `|` nothing seen. */
function series(marks: string): Point[] {
  return [...marks].map((mark, at) => ({
    atMs: at * 30_000,
    results: mark === '|' ? 0 : 1,
    failures: mark === 'x' ? 1 : 0,
    latencyMs: mark === 'x' || mark === '|' ? null : (mark === 's' ? 800 : 100) * (1 + 0.04 * (at % 5)),
  }));
}

const kinds = (marks: string): string[] => detectChanges(series(marks)).map(({ kind }) => kind);
const good = '.'.repeat(300);

describe('changes of failures', () => {
  test.each([
    ['nothing is said of a series that is good', good, []],
    ['a single failure after a long good history is not a change', `${good}x`, []],
    ['single failures far apart are not a change', `${good}x..........x..........x`, []],
    ['a hard outage is found within three results', `${good}xxx`, ['failing']],
    ['an outage stands while it lasts', `${good}${'x'.repeat(200)}`, ['failing']],
    ['one good result does not end an outage', `${good}${'x'.repeat(20)}.`, ['failing']],
    ['an outage is over after a few good results', `${good}${'x'.repeat(200)}${'.'.repeat(8)}`, []],
    ['flapping is found', `${good}${'xx...'.repeat(6)}`, ['failing']],
    ['a lull of flapping does not end it', `${good}${'xx...'.repeat(6)}...`, ['failing']],
    ['nothing is said before enough was seen', 'xxxxxxxx', []],
    ['stretches without results change nothing', `${good}xx|||||||||||||||||||x`, ['failing']],
  ])('%s', (_, marks, expected) => {
    expect(kinds(marks)).toEqual(expected);
  });

  test('what fails now and then needs more failures than what never does', () => {
    const flaky = `${'.'.repeat(9)}x`.repeat(50) + '.'.repeat(10);
    const needed = (before: string): number =>
      [1, 2, 3, 4, 5, 6, 7, 8].find((many) => kinds(before + 'x'.repeat(many)).length > 0) ?? Infinity;
    expect(needed(good)).toBeLessThan(needed(flaky));
    expect(needed(flaky)).toBeLessThan(8);
  });

  test('what fails now and then has to fail in a row, or more often with good results between', () => {
    const flaky = `${'.'.repeat(149)}x`.repeat(12) + '.'.repeat(149);
    expect(kinds(`${flaky}xxx`)).toEqual(['failing']);
    expect(kinds(`${flaky}x.x.x`)).toEqual([]);
    expect(kinds(`${flaky}x.x.x.x`)).toEqual(['failing']);
  });

  test('two failures in a row are an outage after a very long good history only', () => {
    expect(kinds(`${good}xx`)).toEqual([]);
    expect(kinds(`${good.repeat(8)}xx`)).toEqual(['failing']);
  });

  test('half of the evidence is enough where trouble is expected, and a single failure is not', () => {
    const expected = (marks: string): number => detectChanges(series(good + marks), expecting()).length;
    expect([expected('x'), expected('x.x'), expected('x..................x')]).toEqual([0, 1, 0]);
    expect([isExpected(300_000, 0), isExpected(0, 300_000), isExpected(0, 300_001)]).toEqual([
      true,
      true,
      false,
    ]);
  });

  test('short trouble is over as soon as long trouble', () => {
    const goods = (trouble: string): number | undefined =>
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].find(
        (many) => kinds(good + trouble + '.'.repeat(many)).length === 0,
      );
    expect(goods('xxx.'.repeat(3))).toBeLessThanOrEqual((goods('xxx.'.repeat(50)) ?? 0) + 1);
  });

  test('an accident some minutes before an outage is not its first sign', () => {
    expect(detectChanges(series(`${good}x......xxx`))[0]?.sinceMs).toBe(307 * 30_000);
    expect(detectChanges(series(`${good}x.xxx`))[0]?.sinceMs).toBe(300 * 30_000);
  });

  test('a change dates from its first sign, and says what was normal', () => {
    const [change] = detectChanges(series(`${good}xxxx`));
    expect(change).toMatchObject({ kind: 'failing', sinceMs: 300 * 30_000, now: 1 });
    expect(change?.normal).toBeLessThan(0.01);
    expect(change?.score).toBeGreaterThanOrEqual(change?.limit ?? Infinity);
  });

  test('trouble is not learned as normal', () => {
    const during = detectChanges(series(good + 'x'.repeat(300)))[0];
    expect(during?.normal).toBeLessThan(0.01);
    expect(kinds(`${good}${'x'.repeat(300)}${'.'.repeat(20)}xxx`)).toEqual(['failing']);
  });
});

describe('changes of latency', () => {
  test.each([
    ['one slow answer is not a change', `${good}s`, []],
    ['answers that stay slow are one', `${good}${'s'.repeat(15)}`, ['slow']],
    ['and one that is over after a few fast answers', `${good}${'s'.repeat(15)}${'.'.repeat(8)}`, []],
  ])('%s', (_, marks, expected) => {
    expect(kinds(marks)).toEqual(expected);
  });

  const growing = (perPoint: number): Point[] =>
    series(good + '.'.repeat(120)).map((point, at) => ({
      ...point,
      latencyMs: (point.latencyMs ?? 0) * Math.exp(perPoint * Math.max(0, at - 300)),
    }));

  test('a drift to three times in an hour is found, the rhythm of a day is not', () => {
    expect(detectChanges(growing(Math.log(3) / 120)).map(({ kind }) => kind)).toEqual(['slow']);
    const day = series('.'.repeat(2880)).map((point, at) => ({
      ...point,
      latencyMs: (point.latencyMs ?? 0) * Math.exp(0.4 * Math.sin((2 * Math.PI * at) / 2880)),
    }));
    expect(detectChanges(day)).toEqual([]);
  });

  /** A day whose latency swings by 37 %, out of which two and a half hours are taken or changed while it rises. */
  const swinging = (during: (point: Point) => Point[]): Point[] =>
    series('.'.repeat(2880)).flatMap((point, at) => {
      const swing = Math.exp(0.37 * Math.sin((2 * Math.PI * (at - 1440)) / 2880));
      const swung = { ...point, latencyMs: (point.latencyMs ?? 0) * swing };
      return at >= 1300 && at < 1600 ? during(swung) : [swung];
    });
  const everSlow = (points: readonly Point[], options = defaultDetection): number[] => {
    const watch = startWatch();
    return points.flatMap((point) => {
      see(watch, point, options);
      return changesOf(watch, options).some(({ kind }) => kind === 'slow') ? [point.atMs] : [];
    });
  };
  const isAfter = (atMs: number): boolean => atMs >= 1620 * 30_000;

  test.each<[string, (point: Point) => Point[]]>([
    ['silence', () => []],
    ['an outage', (point) => [{ ...point, failures: 1, latencyMs: null }]],
    ['a slow stretch', (point) => [{ ...point, latencyMs: 4 * (point.latencyMs ?? 0) }]],
  ])('what the day did during %s of hours is not called slow afterwards', (_, during) => {
    expect(everSlow(swinging(during)).filter(isAfter)).toEqual([]);
  });

  test('which it would be if what is normal did not age', () => {
    const days = swinging(() => []);
    expect(everSlow(days, { ...defaultDetection, rhythm: 0 }).filter(isAfter)).not.toEqual([]);
  });

  test.each([[2], [3], [8]])('what comes back %d times as slow after hours of silence is found', (times) => {
    const slower = swinging(() => []).map((point) => ({
      ...point,
      latencyMs: (point.latencyMs ?? 0) * (point.atMs >= 1600 * 30_000 ? times : 1),
    }));
    const [first = Infinity] = everSlow(slower);
    expect(first).toBeLessThan(1610 * 30_000);
  });

  test('a slow stretch stands for as long as it lasts', () => {
    const slow = everSlow(swinging((point) => [{ ...point, latencyMs: 2 * (point.latencyMs ?? 0) }]));
    expect(slow.filter((atMs) => atMs >= 1320 * 30_000 && atMs < 1600 * 30_000)).toHaveLength(280);
  });

  test.each([[30], [60], [1440]])('one answer in %d minutes is enough to find what got slower', (minutes) => {
    const sparse = (marks: string): Point[] =>
      series(marks).map((point, at) => ({ ...point, atMs: at * minutes * 60_000 }));
    expect(detectChanges(sparse(good))).toEqual([]);
    expect(detectChanges(sparse(`${good}${'s'.repeat(6)}`)).map(({ kind }) => kind)).toEqual(['slow']);
  });
});

describe('any series', () => {
  const point = fc.record({
    results: fc.integer({ min: 0, max: 20 }),
    failed: fc.double({ min: 0, max: 1, noNaN: true }),
    latencyMs: fc.option(fc.double({ min: 0, max: 60_000, noNaN: true })),
  });
  const anySeries = fc.array(point, { maxLength: 120 }).map((points) =>
    points.map(({ results, failed, latencyMs }, at): Point => {
      const failures = Math.round(failed * results);
      return { atMs: at * 30_000, results, failures, latencyMs: failures < results ? latencyMs : null };
    }),
  );

  test('watching point by point says the same as looking at the whole', () => {
    fc.assert(
      fc.property(anySeries, (points) => {
        const watch = startWatch();
        for (const one of points) see(watch, one);
        expect(changesOf(watch)).toEqual(detectChanges(points));
      }),
      propertyRuns,
    );
  });

  test('the memory of a watch does not grow, and every figure in it is a number', () => {
    const size = (watch: object): number => JSON.stringify(watch).replaceAll(/[-+.e\d]+/g, '0').length;
    const fresh = size(startWatch());
    fc.assert(
      fc.property(anySeries, (points) => {
        const watch = startWatch();
        for (const one of points) see(watch, one);
        expect(JSON.stringify(watch)).not.toContain('null');
        expect(size(watch) - fresh).toBeLessThanOrEqual(2);
      }),
      propertyRuns,
    );
  });

  test('a change began within the series, stands at its limit or above, and comes once', () => {
    fc.assert(
      fc.property(anySeries, (points) => {
        const changes = detectChanges(points);
        expect(new Set(changes.map(({ kind }) => kind)).size).toBe(changes.length);
        for (const { sinceMs, score, limit } of changes) {
          expect(points.some(({ atMs }) => atMs === sinceMs)).toBe(true);
          expect(score).toBeGreaterThanOrEqual(limit);
        }
      }),
      propertyRuns,
    );
  });

  test('after any good history of a length that is enough, one failure is no change and three in a row are one', () => {
    const lengths = fc.integer({ min: defaultDetection.minResults, max: 1500 });
    fc.assert(
      fc.property(lengths, (many) => {
        expect(kinds(`${'.'.repeat(many)}x`)).toEqual([]);
        expect(kinds(`${'.'.repeat(many)}xxx`)).toEqual(['failing']);
      }),
      { numRuns: 100 },
    );
  });

  test('more failures at the end never take a change of failures away', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('.', 'x'), { maxLength: 60 }), (marks) => {
        const before = `${good}${marks.join('')}`;
        if (kinds(before).includes('failing')) expect(kinds(`${before}x`)).toContain('failing');
      }),
      propertyRuns,
    );
  });
});
