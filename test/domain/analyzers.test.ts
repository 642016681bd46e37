import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { analyzeAgents, type AgentSnapshot, silentAfterMs } from '../../domain/analyzers/agent-health.ts';
import { analyzeEndpoints, type EndpointSnapshot } from '../../domain/analyzers/endpoint-health.ts';
import { issueSeverities, worstFirst } from '../../domain/analyzers/issue.ts';
import { analyzerFailure } from '../../domain/halo.ts';
import { anIssue } from '../support/halo-record.ts';
import { propertyRuns } from './runs.ts';

type Last = NonNullable<EndpointSnapshot['last']>;

function anEndpoint(last: Partial<Last> | null, given: Partial<EndpointSnapshot> = {}): EndpointSnapshot {
  return {
    probeId: 'prb_1',
    name: 'shop',
    method: 'GET',
    url: 'http://shop/health',
    owner: 'prn_admin',
    last: last === null ? null : { ok: true, status: 200, latencyMs: 10, failures: [], ...last },
    consecutiveFailures: 0,
    evidence: ['evt_2', 'evt_1'],
    ...given,
  };
}

describe('endpoint-health', () => {
  test.each<[string, Partial<Last> | null, string | null]>([
    ['a healthy endpoint is no issue', {}, null],
    ['an answer in exactly 2,500 ms is no issue', { latencyMs: 2500 }, null],
    ['a slower answer is high', { latencyMs: 2501 }, 'high'],
    ['no answer is critical', { ok: false, status: null }, 'critical'],
    ['a status of 500 is critical', { ok: false, status: 500 }, 'critical'],
    ['a status of 503 is critical', { ok: false, status: 503 }, 'critical'],
    ['a status of 499 is high', { ok: false, status: 499 }, 'high'],
    ['a wrong body with status 200 is high', { ok: false, status: 200 }, 'high'],
    ['an expected 503 is no issue', { ok: true, status: 503 }, null],
    ['a probe that never ran says nothing', null, null],
  ])('%s', (_what, last, severity) => {
    const issues = analyzeEndpoints([anEndpoint(last)]);
    expect(issues.map((issue) => issue.severity)).toEqual(severity === null ? [] : [severity]);
  });

  test('an issue tells what failed, how often, who owns it and which events show it', () => {
    const [issue] = analyzeEndpoints([
      anEndpoint(
        { ok: false, status: 503, failures: ['status 503', 'too slow'] },
        { consecutiveFailures: 3 },
      ),
    ]);
    expect(issue).toMatchObject({
      key: 'prb_1',
      title: 'status 503, 3 times in a row',
      owner: 'prn_admin',
      evidence: ['evt_2', 'evt_1'],
      entityKind: 'probe',
      entityId: 'prb_1',
    });
  });

  test('what a repair is told holds no live figure, so that an approval of it can stand', () => {
    const failing = { ok: false, status: 503, failures: ['status 503'] };
    const [first] = analyzeEndpoints([anEndpoint({ ...failing, latencyMs: 10 })]);
    const [later] = analyzeEndpoints([
      anEndpoint({ ...failing, latencyMs: 900 }, { consecutiveFailures: 9, evidence: ['evt_9'] }),
    ]);
    expect(later?.subject).toEqual(first?.subject);
  });

  test('slow and failing are told apart by key', () => {
    const [slow] = analyzeEndpoints([anEndpoint({ latencyMs: 9999 })]);
    expect(slow?.key).toBe('prb_1:slow');
  });

  test('one failing endpoint does not hide another', () => {
    const issues = analyzeEndpoints([
      anEndpoint({ ok: false, status: null }, { probeId: 'prb_1' }),
      anEndpoint({}, { probeId: 'prb_2' }),
      anEndpoint({ latencyMs: 3000 }, { probeId: 'prb_3' }),
    ]);
    expect(issues.map((issue) => issue.entityId)).toEqual(['prb_1', 'prb_3']);
  });
});

function anAgent(given: Partial<AgentSnapshot> = {}): AgentSnapshot {
  return {
    agentId: 'agt_1',
    name: 'keeper',
    owner: 'prn_admin',
    state: 'online',
    beats: true,
    silentForMs: 0,
    ...given,
  };
}

describe('agent-health', () => {
  test.each<[string, Partial<AgentSnapshot>, boolean]>([
    ['an agent that just gave a sign of life is healthy', {}, false],
    ['an agent silent for almost five minutes is healthy', { silentForMs: silentAfterMs - 1 }, false],
    ['an agent silent for five minutes is an issue', { silentForMs: 5 * 60_000 }, true],
    ['a busy agent silent for five minutes is an issue', { state: 'busy', silentForMs: silentAfterMs }, true],
    [
      'a registered agent that never came is an issue',
      { state: 'registered', silentForMs: silentAfterMs },
      true,
    ],
    ['an agent marked offline is an issue', { state: 'offline' }, true],
    ['a disabled agent is meant to be silent', { state: 'disabled', silentForMs: silentAfterMs * 9 }, false],
    [
      'an agent without a process gives no signs of life',
      { beats: false, silentForMs: silentAfterMs * 9 },
      false,
    ],
    ['nor does one that is offline', { beats: false, state: 'offline' }, false],
  ])('%s', (_what, given, isIssue) => {
    const issues = analyzeAgents([anAgent(given)]);
    expect(issues.map((issue) => issue.severity)).toEqual(isIssue ? ['high'] : []);
  });

  const hour = (failures: number, results: number) => ({ atMs: 0, results, failures, latencyMs: null });
  test.each<[string, Partial<AgentSnapshot>, string[]]>([
    ['more than 0.3 of ten tasks failed: medium', { series: [hour(4, 10)] }, ['medium']],
    ['exactly 0.3 is no issue', { series: [hour(3, 10)] }, []],
    ['nine tasks are not enough', { series: [hour(9, 9)] }, []],
    ['an agent without a process can fail too', { beats: false, series: [hour(9, 10)] }, ['medium']],
    ['a disabled one is left alone', { state: 'disabled', series: [hour(9, 10)] }, []],
    ['silent and failing are two issues', { state: 'offline', series: [hour(9, 10)] }, ['high', 'medium']],
  ])('%s', (_what, given, severities) => {
    const issues = analyzeAgents([anAgent(given)]);
    expect(issues.map(({ severity }) => severity)).toEqual(severities);
    expect(new Set(issues.map(({ key }) => key)).size).toBe(issues.length);
  });

  test('a failing agent is told with its figures and evidence, none of which a repair is bound to', () => {
    expect(analyzeAgents([anAgent({ series: [hour(8, 20)], evidence: ['evt_1'] })])).toMatchObject([
      {
        ...{
          key: 'agt_1:failing',
          title: '8 of its newest 20 tasks failed',
          evidence: ['evt_1'],
          sinceMs: 0,
        },
        ...{ observed: { failed: 8, ended: 20 }, subject: { agentId: 'agt_1', name: 'keeper' } },
      },
    ]);
  });

  test('the minutes of silence are told, and are not part of what a repair is told', () => {
    const [issue] = analyzeAgents([anAgent({ silentForMs: 7.9 * 60_000 })]);
    expect(issue?.title).toBe('no sign of life for 7 minutes');
    expect(issue?.subject).toEqual({ agentId: 'agt_1', name: 'keeper' });
  });
});

describe('worstFirst', () => {
  const manyIssues = fc.array(
    fc.record({ severity: fc.constantFrom(...issueSeverities), key: fc.string() }).map(anIssue),
    { maxLength: 400 },
  );

  test('at most 200 findings are kept, and none that is left out is worse than one that stays', () => {
    const rank = (issue: { severity: (typeof issueSeverities)[number] }) =>
      issueSeverities.indexOf(issue.severity);
    fc.assert(
      fc.property(manyIssues, (issues) => {
        const kept = worstFirst(issues);
        expect(kept).toHaveLength(Math.min(200, issues.length));
        const ranks = issues.map(rank).sort((a, b) => b - a);
        expect(kept.map(rank)).toEqual(ranks.slice(0, 200));
      }),
      { numRuns: Math.max(50, propertyRuns.numRuns / 10) },
    );
  });

  test('findings of one severity keep their order, and the list that was given is left alone', () => {
    const issues = ['a', 'b', 'c'].map((key) => anIssue({ key }));
    expect(worstFirst(issues).map((issue) => issue.key)).toEqual(['a', 'b', 'c']);
    expect(worstFirst(issues)).not.toBe(issues);
  });
});

describe('analyzerFailure', () => {
  test('a broken analyzer is a finding, not silence, and nothing is proposed for it', () => {
    expect(analyzerFailure('agent-health', 'boom')).toMatchObject({
      severity: 'medium',
      title: 'the analyzer failed: boom',
      owner: '',
    });
  });

  test('a long message is cut', () => {
    expect(analyzerFailure('agent-health', 'x'.repeat(5000)).title.length).toBeLessThan(400);
  });
});
