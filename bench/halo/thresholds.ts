import { minuteMs } from './plan.ts';
import type { CreateDetector, Finding, Group } from './detector.ts';
import type { Result } from './world.ts';

/** A plain-threshold monitor; its figures come from bench/halo/tune.ts. */
export type Thresholds = {
  /** Failures in a row. */
  inARow: number;
  /** Failures among the last results. */
  share: { failures: number; of: number };
  /** The mean of the last good latencies over the service's own mean of about two hours. */
  slow: { times: number; of: number };
  /** Good results in a row that clear a finding. */
  clearAfter: number;
  /** Whether a service is passed over while one that it depends on is found too. */
  suppress: boolean;
  /** How long a finding has to stand before it is proposed. */
  holdMs: number;
};

type State = {
  last: boolean[];
  failures: number;
  sum: number;
  latencies: number[];
  good: number;
  usual: number;
  failedInARow: number;
  calm: number;
  sinceMs: number | null;
};

const learned = 120;
const remembered = 240;
const judgedResults = 10;

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1);
}

export const createThresholds =
  ({ inARow, share, slow, clearAfter, suppress, holdMs }: Thresholds): CreateDetector =>
  (services) => {
    const states = services.map((): State => ({
      ...{ last: [], failures: 0, sum: 0 },
      latencies: [],
      good: 0,
      usual: 0,
      failedInARow: 0,
      calm: 0,
      sinceMs: null,
    }));
    const isOver = (state: State): boolean =>
      state.failedInARow >= inARow ||
      state.failures >= share.failures ||
      (state.good > learned && state.sum / Math.max(1, state.latencies.length) > slow.times * state.usual);

    const see = (service: number, { ok, latencyMs, atMs }: Result): void => {
      const state = states[service];
      if (state === undefined) return;
      state.last.push(ok);
      if (!ok) state.failures += 1;
      if (state.last.length > share.of && state.last.shift() === false) state.failures -= 1;
      state.failedInARow = ok ? 0 : state.failedInARow + 1;
      if (ok) {
        state.latencies.push(latencyMs);
        state.sum += latencyMs;
        state.good += 1;
        state.usual += (latencyMs - state.usual) / Math.min(state.good, remembered);
      }
      if (state.latencies.length > slow.of) state.sum -= state.latencies.shift() ?? 0;
      if (isOver(state)) {
        state.sinceMs ??= atMs;
        state.calm = 0;
      } else if (ok) state.calm += 1;
      else state.calm = 0;
      if (state.calm >= clearAfter) state.sinceMs = null;
    };
    const findings = (): Finding[] =>
      states.flatMap(({ sinceMs }, service) => (sinceMs === null ? [] : [{ service, sinceMs }]));

    const groups = (found: readonly Finding[], atMs: number): Group[] => {
      const inTrouble = new Set(found.map(({ service }) => service));
      const byRoot = new Map<number, Group>();
      for (const { service, sinceMs } of found) {
        let root = service;
        for (;;) {
          const next = services[root]?.dependsOn.find((one) => inTrouble.has(one));
          if (!suppress || next === undefined) break;
          root = next;
        }
        const group = byRoot.get(root) ?? { root, members: [], isRipe: true };
        group.members.push(service);
        group.isRipe &&= atMs - sinceMs >= holdMs;
        byRoot.set(root, group);
      }
      return [...byRoot.values()];
    };

    return {
      ...{ see, findings, groups },
      judge: ({ service, repairedMs }, history) => {
        const before = history(service, repairedMs - 10 * minuteMs, repairedMs).slice(-judgedResults);
        const after = history(service, repairedMs, Infinity).slice(-judgedResults);
        const failed = (results: readonly Result[]): number => meanOf(results.map(({ ok }) => (ok ? 0 : 1)));
        const latency = (results: readonly Result[]): number =>
          meanOf(results.filter(({ ok }) => ok).map(({ latencyMs }) => latencyMs));
        const usual = states[service]?.usual ?? 0;
        if (failed(after) <= 0.2 && latency(after) <= slow.times * usual) return 'recovered-by-action';
        const isWorse = failed(after) > failed(before) + 0.2 || latency(after) > 1.5 * latency(before);
        return isWorse ? 'worse' : 'no-change';
      },
    };
  };
