import { describe, expect, test } from 'vitest';
import type { LoggedEvent } from '../../domain/events.ts';
import { createHaloShadow, type HaloRule, presentHaloRule } from '../../domain/halo-shadow.ts';
import { createWorld, type WorldFacts } from '../../domain/halo-world.ts';
import { emptyHaloLoop } from '../../domain/halo-loop.ts';
import { aLoggedEvent } from '../support/events.ts';

const startMs = Date.parse('2026-01-01T00:00:00.000Z');
const at = (seconds: number): string => new Date(startMs + seconds * 1000).toISOString();

const facts = (given: Partial<WorldFacts> = {}): WorldFacts => ({
  probes: [
    {
      ...{
        probeId: 'prb_1',
        name: 'shop',
        method: 'GET',
        url: 'http://shop/',
        owner: 'prn_olga',
        enabled: true,
      },
      ...{ last: null, consecutiveFailures: 0, evidence: [] },
    },
  ],
  agents: [{ agentId: 'agt_1', name: 'keeper', owner: 'prn_olga', state: 'online', beats: true }],
  tasks: new Map(),
  open: [],
  ...given,
});

function result(seconds: number, ok: boolean, given: Partial<LoggedEvent> = {}, latencyMs = 10): LoggedEvent {
  return aLoggedEvent({
    ...{ type: ok ? 'api.endpoint.success' : 'api.endpoint.failed', severity: ok ? 'info' : 'error' },
    ...{ sourceType: 'api', sourceId: 'prb_1', recordedAt: at(seconds), id: `evt_${seconds}` },
    payload: { probeId: 'prb_1', status: ok ? 200 : 404, latencyMs, failures: ok ? [] : ['status 404'] },
    ...given,
  });
}

const said = (seconds: number, given: Partial<LoggedEvent>): LoggedEvent =>
  aLoggedEvent({ recordedAt: at(seconds), ...given });

/** Runs one rule over events and answers when its cycles ran and what they proposed. */
function play(
  events: LoggedEvent[],
  given: { rule?: Partial<HaloRule>; facts?: Partial<WorldFacts>; loop?: object; until?: number } = {},
) {
  const world = createWorld(facts(given.facts));
  const shadow = createHaloShadow({ ...presentHaloRule, ...given.rule }, world, {
    ...emptyHaloLoop(),
    ...given.loop,
  });
  shadow.advance(startMs);
  for (const event of events) {
    shadow.advance(Date.parse(event.recordedAt));
    world.see(event);
    shadow.take(event);
  }
  shadow.advance(startMs + (given.until ?? 3_600) * 1000);
  return {
    when: shadow.cycles.map(({ atMs }) => (atMs - startMs) / 1000),
    cycles: shadow.cycles,
    tasks: shadow.tasks,
  };
}

describe('the loop over a recorded window', () => {
  test('runs a cycle once errors were gathered for the error window, and one task for it', () => {
    const { when, cycles, tasks } = play([result(10, false), result(20, false)]);
    expect(when).toEqual([40]);
    expect(cycles[0]).toMatchObject({ triggers: { event: 2, manual: 0 }, eventIds: ['evt_10', 'evt_20'] });
    expect(tasks).toMatchObject([
      { key: 'repair.api.endpoint|probe:prb_1', kind: 'task', target: 'probe:prb_1', risk: 'medium' },
    ]);
    expect(tasks[0]?.title).toContain('2 times in a row');
  });

  test('does not wait for critical events, and keeps the cooldown', () => {
    const critical = { severity: 'critical' as const };
    const { when } = play([result(10, false, critical), result(20, false, critical)]);
    expect(when).toEqual([10, 70]);
  });

  test.each([
    [{ cooldownMs: 5_000 }, [10, 20]],
    [{ cooldownMs: 300_000 }, [10, 310]],
  ])('with limits %j runs at %j', (limits, expected) => {
    const critical = { severity: 'critical' as const };
    const rule = { limits: { ...presentHaloRule.limits, ...limits } };
    expect(play([result(10, false, critical), result(20, false, critical)], { rule }).when).toEqual(expected);
  });

  test('keeps the hourly budget, with the cycles from before the window', () => {
    const rule = { limits: { cooldownMs: 0, errorWindowMs: 0, cyclesPerHour: 2 } };
    const loop = { startsMs: [startMs - 1_800_000] };
    const { when } = play([result(10, false), result(20, false)], { rule, loop });
    expect(when).toEqual([10, 1_800]);
  });

  test('sees the window only: what is still pending when it ends has not run', () => {
    expect(play([result(10, false)], { until: 39 }).when).toEqual([]);
    expect(play([result(10, false)], { until: 40 }).when).toEqual([40]);
  });

  test('is never woken by its own events, whatever the rule says', () => {
    const rule = { match: { types: [], minSeverity: 'info' as const, excludeSourceTypes: [] } };
    const own = said(5, { type: 'halo.cycle.completed', sourceType: 'halo', severity: 'critical' });
    expect(play([own], { rule }).when).toEqual([]);
  });

  test('runs the cycles that people asked for, and none while it was paused', () => {
    const asked = said(5, {
      ...{
        type: 'halo.cycle.started',
        sourceType: 'halo',
        payload: { mode: 'light', trigger: { manual: 1 } },
      },
    });
    const { when, cycles } = play([asked]);
    expect(when).toEqual([5]);
    expect(cycles[0]).toMatchObject({ mode: 'light', triggers: { manual: 1 } });
    const pause = said(1, { type: 'halo.loop.paused', sourceType: 'halo' });
    const resume = said(100, { type: 'halo.loop.resumed', sourceType: 'halo' });
    expect(play([pause, result(10, false), resume]).when).toEqual([100]);
  });

  test('of events by themselves is not told by what HALO recorded', () => {
    const started = said(5, {
      ...{
        type: 'halo.cycle.started',
        sourceType: 'halo',
        payload: { mode: 'full', trigger: { event: 3, manual: 0 } },
      },
    });
    expect(play([started]).when).toEqual([]);
  });
});

describe('what it proposes', () => {
  const wake = (seconds: number) => said(seconds, { type: 'squad.task.failed', severity: 'critical' });

  test('follows the threshold for slow endpoints', () => {
    const events = [result(10, true, {}, 1_200), wake(20)];
    expect(play(events).tasks).toEqual([]);
    expect(play(events, { rule: { slowEndpointMs: 1_000 } }).tasks).toMatchObject([
      { key: 'repair.api.endpoint|probe:prb_1' },
    ]);
  });

  test('follows from which severity on a finding counts', () => {
    const events = [result(10, false), wake(20)];
    expect(play(events, { rule: { weakPointFrom: 'critical' } }).tasks).toEqual([]);
  });

  test('is nothing for a switched-off strategy, a recovered or a switched-off probe', () => {
    const strategies = presentHaloRule.strategies.filter(({ analyzer }) => analyzer !== 'endpoint-health');
    expect(play([result(10, false)], { rule: { strategies } }).tasks).toEqual([]);
    expect(play([result(10, false), result(20, true)]).tasks).toEqual([]);
    const off = said(15, { type: 'api.probe.changed', sourceId: 'prb_1', payload: { enabled: false } });
    expect(play([result(10, false), off]).tasks).toEqual([]);
  });

  test('counts an agent that was marked offline', () => {
    const offline = said(5, {
      ...{ type: 'agent.status', sourceType: 'agent', sourceId: 'agt_1', payload: { state: 'offline' } },
    });
    expect(play([offline, wake(10)]).tasks).toMatchObject([{ key: 'agent.revive|agent:agt_1', risk: 'low' }]);
  });

  const fingerprint = 'repair.api.endpoint|probe:prb_1';
  const tasks = new Map([['tsk_1', { target: 'probe:prb_1', fingerprint }]]);
  const ended = (seconds: number, type = 'squad.task.failed') =>
    said(seconds, { type, sourceType: 'squad', sourceId: 'tsk_1', severity: 'error' });

  test('is nothing while the task of the fix target was open, and again after it has ended', () => {
    const open = { open: [fingerprint], tasks };
    expect(play([result(10, false)], { facts: open }).tasks).toEqual([]);
    expect(play([result(10, false), ended(200)], { facts: open }).tasks).toHaveLength(1);
  });

  test('is one task however many cycles see the finding, until a task of its fix target ended', () => {
    const failing = [result(10, false), result(200, false), result(400, false)];
    expect(play(failing, { facts: { tasks } }).tasks).toHaveLength(1);
    expect(play([...failing, ended(500), result(700, false)], { facts: { tasks } }).tasks).toHaveLength(2);
  });

  test('is nothing from a result of before the repair', () => {
    const repaired = ended(20, 'squad.task.completed');
    expect(play([result(10, false), repaired, wake(40)], { facts: { tasks } }).tasks).toEqual([]);
  });

  describe('of an endpoint with a good history in the window', () => {
    const goodHistory = Array.from({ length: 40 }, (_, index) => result(index * 60, true));
    const after = (events: LoggedEvent[], given: Partial<WorldFacts> = {}) =>
      play([...goodHistory, ...events], { until: 7_200, facts: given }).tasks;
    const failuresFrom = (seconds: number, many: number): LoggedEvent[] =>
      Array.from({ length: many }, (_, index) => result(seconds + index * 60, false));

    test('is nothing for one failure, and a task for an outage', () => {
      expect(after([...failuresFrom(2_400, 1), result(2_460, true)])).toEqual([]);
      expect(after(failuresFrom(2_400, 4))).toHaveLength(1);
    });

    test('begins anew with a repair: then a first failure counts again', () => {
      const repaired = ended(2_400, 'squad.task.completed');
      expect(after([repaired, result(2_460, false)], { tasks })).toHaveLength(1);
    });
  });

  test('does not come from events that only look like a probe', () => {
    const forged = result(10, false, { sourceId: 'somebody', severity: 'critical' });
    expect(play([forged])).toMatchObject({ when: [10], tasks: [] });
  });
});
