import { percentile } from '../report.ts';
import type { Day } from './run.ts';

export type Figures = {
  precision: number;
  recall: number;
  /** Mean and 95th percentile in seconds from its start; a fault that was never found counts with all its time. */
  detectSeconds: number;
  detectP95: number;
  proposalsPerIncident: number;
  /** Faults that got a proposal. */
  proposed: number;
  /** A day: of a service that was not the cause of a fault going on. */
  falseRepairs: number;
  repairs: number;
  labels: number;
};

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1);
}

export function figuresOf(days: readonly Day[]): Figures {
  const episodes = days.flatMap((day) => day.episodes);
  const affected: boolean[] = [];
  const seconds: number[] = [];
  const proposals: number[] = [];
  for (const { plan, world, episodes: all, cases } of days)
    for (const fault of plan.faults) {
      const mine = all.filter((episode) => episode.fault === fault);
      const services = new Set(mine.map(({ service }) => service));
      for (const service of fault.effects.keys()) affected.push(services.has(service));
      const first = Math.min(...mine.map(({ fromMs }) => fromMs), world.endOf(fault));
      seconds.push((first - fault.startMs) / 1000);
      proposals.push(cases.filter((one) => one.fault === fault).length);
    }
  const proposed = proposals.filter((many) => many > 0);
  const repairs = days.flatMap((day) => day.repairs);
  const labels = days.flatMap((day) => day.labels);
  return {
    precision: mean(episodes.map(({ fault }) => (fault === null ? 0 : 1))),
    recall: mean(affected.map(Number)),
    detectSeconds: mean(seconds),
    detectP95: percentile(seconds, 95),
    proposalsPerIncident: mean(proposed),
    proposed: proposed.length / proposals.length,
    falseRepairs: repairs.filter(({ isFalse }) => isFalse).length / days.length,
    repairs: repairs.length / days.length,
    labels: mean(labels.map(({ given, truth }) => (given === truth ? 1 : 0))),
  };
}
