import { createRandom, type Random } from './random.ts';

export const minuteMs = 60_000;
export const stepMs = 30_000;
export const services = 200;
export const hours = 24;
/** Nothing breaks while what is normal is learned. */
const firstFaultMs = 3 * 60 * minuteMs;

/** A service as it is while nothing is wrong. */
export type Service = {
  dependsOn: number[];
  phaseMs: number;
  latencyMs: number;
  jitter: number;
  /** How far the day moves its latency, in log latency. */
  rhythm: number;
  failureRate: number;
};

/** What a fault does to one service. */
export type Effect = { share: number; slowTo: number; rampMs: number; flapSteps: number };

export const faultKinds = ['outage', 'drift', 'flapping', 'shared', 'hidden'] as const;
export type FaultKind = (typeof faultKinds)[number];

export type Fault = {
  kind: FaultKind;
  /** The service whose repair may end it; null where the cause is not a service. */
  root: number | null;
  startMs: number;
  endMs: number;
  /** What ends it: its own end, or a repair of its root; some repairs do nothing and some do harm. */
  cure: 'itself' | 'repair' | 'nothing' | 'harm';
  effects: Map<number, Effect>;
};

export type Plan = { seed: number; services: Service[]; faults: Fault[] };

const perDay: Record<FaultKind, number> = { outage: 16, drift: 12, flapping: 12, shared: 8, hidden: 8 };
const bases = 20;

function planService(random: Random, at: number): Service {
  const dependsOn: number[] = [];
  if (at >= bases && random.happens(0.6)) dependsOn.push(random.whole(0, bases - 1));
  if (at >= 60 && random.happens(0.15)) dependsOn.push(random.whole(bases, 59));
  return {
    dependsOn,
    phaseMs: Math.floor(random.between(0, stepMs)),
    latencyMs: 20 * Math.exp(random.between(0, Math.log(40))),
    jitter: random.between(0.08, 0.3),
    rhythm: random.between(0, 0.4),
    failureRate: 0.0003 * Math.exp(random.between(0, Math.log(30))),
  };
}

/** The services that cannot do without one, directly or through others. */
export function dependents(all: readonly Service[], root: number): number[] {
  const found = new Set([root]);
  for (let grew = true; grew;) {
    const size = found.size;
    for (const [at, { dependsOn }] of all.entries())
      if (dependsOn.some((one) => found.has(one))) found.add(at);
    grew = found.size > size;
  }
  found.delete(root);
  return [...found];
}

const none: Effect = { share: 0, slowTo: 1, rampMs: 0, flapSteps: 0 };

function effectOf(random: Random, kind: FaultKind): Effect {
  switch (kind) {
    case 'outage':
      return { ...none, share: random.between(0.9, 1) };
    case 'drift':
      return { ...none, slowTo: random.between(2, 5), rampMs: random.between(5, 45) * minuteMs };
    case 'flapping':
      return { ...none, share: random.between(0.7, 1), flapSteps: random.whole(4, 9) };
    case 'shared':
    case 'hidden':
      return random.happens(0.2)
        ? { ...none, slowTo: random.between(3, 6) }
        : { ...none, share: random.between(0.6, 1) };
  }
}

function planFault(random: Random, all: readonly Service[], kind: FaultKind): Fault {
  const root =
    kind === 'hidden'
      ? null
      : random.whole(kind === 'shared' ? 0 : bases, kind === 'shared' ? bases - 1 : services - 1);
  const hit =
    root === null ? Array.from({ length: random.whole(4, 8) }, () => random.whole(bases, services - 1)) : [];
  const effects = new Map(hit.map((one) => [one, effectOf(random, kind)]));
  if (root !== null) {
    effects.set(root, effectOf(random, kind === 'shared' ? 'outage' : kind));
    // Whoever needs a service that is down fails with it; what is merely slow or flapping is borne.
    if (kind === 'shared' || kind === 'outage')
      for (const one of dependents(all, root)) effects.set(one, effectOf(random, 'shared'));
  }
  const isMild = kind === 'drift' || kind === 'flapping';
  const drawn = random.next();
  const curable = drawn < 0.75 ? 'repair' : drawn < 0.9 || !isMild ? 'nothing' : 'harm';
  const cure = random.happens(0.35) ? 'itself' : root === null ? 'nothing' : curable;
  const lasts = cure === 'itself' ? random.between(8, 40) : random.between(90, 150);
  const isSlow = kind === 'drift';
  const startMs = Math.floor(random.between(firstFaultMs, (hours - 1) * 60 * minuteMs));
  return {
    kind,
    root,
    cure,
    effects,
    startMs,
    endMs: Math.floor(startMs + (lasts + (isSlow ? 20 : 0)) * minuteMs),
  };
}

/** A day of services and what breaks in it; a service has one fault at a time, and an hour of peace between two. */
export function planDay(seed: number): Plan {
  const random = createRandom(seed);
  const all = Array.from({ length: services }, (_, at) => planService(random, at));
  const faults: Fault[] = [];
  const wanted = faultKinds.flatMap((kind) => Array.from({ length: perDay[kind] }, () => kind));
  for (const kind of wanted)
    for (let attempt = 0; attempt < 50; attempt += 1) {
      const fault = planFault(random, all, kind);
      const isFree = faults.every(
        (other) =>
          other.endMs + 60 * minuteMs < fault.startMs ||
          fault.endMs + 60 * minuteMs < other.startMs ||
          ![...fault.effects.keys()].some((one) => other.effects.has(one)),
      );
      if (!isFree) continue;
      faults.push(fault);
      break;
    }
  return { seed, services: all, faults };
}
