import { minuteMs, stepMs, type Fault, type Plan } from './plan.ts';
import { chance } from './random.ts';

export type Result = { atMs: number; ok: boolean; latencyMs: number };
export type Truth = 'recovered-by-action' | 'recovered-anyway' | 'no-change' | 'worse';

/** A planned day as it goes on under the repairs of one detector; noise and faults are the same for all of them. */
export type World = {
  result: (service: number, step: number) => Result;
  repair: (service: number, atMs: number) => void;
  /** The fault that is going on at a service. */
  faultAt: (service: number, atMs: number) => Fault | null;
  endOf: (fault: Fault) => number;
  /** What a repair of a service at one time really did, as it could be known at a later one. */
  truth: (service: number, repairedMs: number, judgedMs: number) => Truth;
};

const dayMs = 24 * 60 * minuteMs;

type Calm = { latencies: Float64Array; luck: Float64Array };
const calms = new WeakMap<Plan, Calm>();

/** What a day would be without faults: the same for each who lives it, so it is made once. */
function calmOf(plan: Plan): Calm {
  const known = calms.get(plan);
  if (known !== undefined) return known;
  const { seed, services } = plan;
  const size = (dayMs / stepMs) * services.length;
  const calm = { latencies: new Float64Array(size), luck: new Float64Array(size) };
  for (let step = 0; step < dayMs / stepMs; step += 1)
    for (const [at, service] of services.entries()) {
      const draw = (what: number): number => chance(seed, at, step, what);
      const normal = Math.sqrt(-2 * Math.log(1 - draw(1))) * Math.cos(2 * Math.PI * draw(2));
      const spike = draw(3) < 0.01 ? 0.4 + draw(4) : 0;
      const rhythm = service.rhythm * Math.sin((2 * Math.PI * step * stepMs) / dayMs + at / 40);
      const here = step * services.length + at;
      calm.latencies[here] = Math.log(service.latencyMs) + service.jitter * normal + rhythm + spike;
      calm.luck[here] = draw(5);
    }
  calms.set(plan, calm);
  return calm;
}

export function openWorld(plan: Plan): World {
  const { services, faults } = plan;
  const calm = calmOf(plan);
  const ends = new Map(faults.map((fault) => [fault, fault.endMs]));
  const harmed = new Map<Fault, number>();
  const ofService = services.map((_, at) => faults.filter(({ effects }) => effects.has(at)));
  const endOf = (fault: Fault): number => ends.get(fault) ?? fault.endMs;
  const faultAt = (service: number, atMs: number): Fault | null =>
    ofService[service]?.find((fault) => fault.startMs <= atMs && atMs < endOf(fault)) ?? null;

  const result = (at: number, step: number): Result => {
    const service = services[at];
    if (service === undefined) throw new Error(`There is no service ${at}.`);
    const atMs = step * stepMs + service.phaseMs;
    let log = calm.latencies[step * services.length + at] ?? 0;
    let failing = service.failureRate;
    const fault = faultAt(at, atMs);
    const effect = fault?.effects.get(at);
    if (fault !== null && effect !== undefined) {
      const isHarmed = (harmed.get(fault) ?? Infinity) <= atMs;
      const grown = effect.rampMs === 0 ? 1 : Math.min(1, (atMs - fault.startMs) / effect.rampMs);
      log += Math.log(effect.slowTo) * grown + (isHarmed && effect.slowTo > 1 ? Math.log(2) : 0);
      const isDown = effect.flapSteps === 0 || step % effect.flapSteps < effect.flapSteps * 0.45;
      if (isDown || isHarmed) failing = Math.max(failing, effect.share);
    }
    return { atMs, ok: (calm.luck[step * services.length + at] ?? 0) >= failing, latencyMs: Math.exp(log) };
  };

  const repair = (service: number, atMs: number): void => {
    const fault = faultAt(service, atMs);
    if (fault?.root !== service) return;
    if (fault.cure === 'repair') ends.set(fault, atMs);
    if (fault.cure === 'harm' && !harmed.has(fault)) harmed.set(fault, atMs);
  };

  const truth = (service: number, repairedMs: number, judgedMs: number): Truth => {
    const fault = ofService[service]?.find((one) => one.startMs <= repairedMs && repairedMs <= endOf(one));
    if (fault === undefined) return 'recovered-anyway';
    const isCause = fault.root === service;
    if (isCause && fault.cure === 'repair' && endOf(fault) === repairedMs) return 'recovered-by-action';
    if (endOf(fault) <= judgedMs) return 'recovered-anyway';
    return isCause && fault.cure === 'harm' ? 'worse' : 'no-change';
  };
  return { result, repair, faultAt, endOf, truth };
}
