import type { Verdict } from '../../domain/verdict.ts';
import { openDesk, type Case } from './desk.ts';
import type { CreateDetector, Finding, History } from './detector.ts';
import { hours, minuteMs, services, stepMs, type Fault, type Plan } from './plan.ts';
import { openWorld, type Result, type Truth, type World } from './world.ts';

/** A stretch in which a detector had a service in trouble. */
export type Episode = { service: number; fromMs: number; fault: Fault | null };
export type Label = { given: Verdict | null; truth: Truth };
export type Day = {
  plan: Plan;
  world: World;
  episodes: Episode[];
  cases: { one: Case; fault: Fault | null }[];
  repairs: { isFalse: boolean }[];
  labels: Label[];
};

/** Results that were under way when a fault ended may still raise it. */
const graceMs = 90_000;
const stepsPerCycle = 2;

/** One day under one detector; a cycle every minute (the cooldown of LEDGER 5.6). */
export function runDay(plan: Plan, create: CreateDetector): Day {
  const world = openWorld(plan);
  const detector = create(plan.services);
  const desk = openDesk(plan);
  const results: Result[][] = plan.services.map(() => []);
  const history: History = (service, fromMs, untilMs) =>
    (results[service] ?? [])
      .slice(Math.max(0, Math.floor(fromMs / stepMs) - 1))
      .filter(({ atMs }) => atMs >= fromMs && atMs < untilMs);
  const faultNear = (service: number, atMs: number): Fault | null =>
    world.faultAt(service, atMs) ?? world.faultAt(service, atMs - graceMs);
  const day: Day = { plan, world, episodes: [], cases: [], repairs: [], labels: [] };
  let found: Finding[] = [];
  let standing = new Set<number>();
  for (let step = 0; step < (hours * 60 * minuteMs) / stepMs; step += 1) {
    const atMs = (step + 1) * stepMs;
    for (let service = 0; service < services; service += 1) {
      const result = world.result(service, step);
      results[service]?.push(result);
      detector.see(service, result);
    }
    desk.work(atMs, found, (service) => {
      day.repairs.push({ isFalse: world.faultAt(service, atMs)?.root !== service });
      world.repair(service, atMs);
    });
    if (step % stepsPerCycle === 0) continue;
    found = detector.findings();
    for (const { service } of found)
      if (!standing.has(service))
        day.episodes.push({ service, fromMs: atMs, fault: faultNear(service, atMs) });
    standing = new Set(found.map(({ service }) => service));
    const known = desk.cases.length;
    desk.look(found, detector.groups(found, atMs), atMs);
    for (const one of desk.cases.slice(known)) day.cases.push({ one, fault: faultNear(one.target, atMs) });
    for (const one of desk.due(atMs)) {
      if (one.repair === null) continue;
      const given = detector.judge(one.repair, history);
      day.labels.push({ given, truth: world.truth(one.target, one.repair.repairedMs, atMs) });
      one.state = 'judged';
    }
  }
  return day;
}
