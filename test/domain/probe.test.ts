import { describe, expect, test } from 'vitest';
import { judgeProbe, type ProbeAssertions, type ProbeObservation } from '../../domain/probe.ts';

const asks: ProbeAssertions = { statusFrom: 200, statusTo: 299, maxLatencyMs: 500, bodyIncludes: 'up' };
const seen: ProbeObservation = { status: 200, latencyMs: 10, body: 'all up', error: null };

describe('judgeProbe', () => {
  test.each<[string, Partial<ProbeObservation>, Partial<ProbeAssertions>, string[], string]>([
    ['an answer as expected', {}, {}, [], 'info'],
    ['the lowest accepted status', { status: 200 }, {}, [], 'info'],
    ['the highest accepted status', { status: 299 }, {}, [], 'info'],
    ['a status above', { status: 300 }, {}, ['status 300, expected 200 to 299'], 'error'],
    ['a status below', { status: 199 }, {}, ['status 199, expected 200 to 299'], 'error'],
    ['a 500', { status: 500 }, {}, ['status 500, expected 200 to 299'], 'critical'],
    ['an accepted 503', { status: 503 }, { statusTo: 599 }, [], 'info'],
    [
      'a slow 503 that is accepted',
      { status: 503, latencyMs: 501 },
      { statusTo: 599 },
      ['took 501 ms, expected at most 500 ms'],
      'critical',
    ],
    ['just in time', { latencyMs: 500 }, {}, [], 'info'],
    ['too slow', { latencyMs: 500.6 }, {}, ['took 501 ms, expected at most 500 ms'], 'error'],
    ['no limit on time', { latencyMs: 99_999 }, { maxLatencyMs: undefined }, [], 'info'],
    ['a body without the text', { body: 'down' }, {}, ['the body does not include "up"'], 'error'],
    ['no text asked for', { body: '' }, { bodyIncludes: undefined }, [], 'info'],
    ['no answer', { status: null, error: 'timed out' }, {}, ['no answer: timed out'], 'critical'],
    ['no answer and no reason', { status: null }, {}, ['no answer: unknown'], 'critical'],
  ])('%s', (_what, observed, asked, failures, severity) => {
    const assertions = Object.fromEntries(
      Object.entries({ ...asks, ...asked }).filter(([, value]) => value !== undefined),
    ) as ProbeAssertions;
    expect(judgeProbe(assertions, { ...seen, ...observed })).toEqual({
      ok: failures.length === 0,
      failures,
      severity,
    });
  });

  test('every assertion that fails is told', () => {
    const judgement = judgeProbe(asks, { status: 404, latencyMs: 900, body: 'no', error: null });
    expect(judgement.failures).toHaveLength(3);
  });
});
