import type { Finding, Group, Repair } from './detector.ts';
import { dependents, minuteMs, type Plan } from './plan.ts';
import { chance } from './random.ts';

/*
 * A proposal of either detector: open -> repairing -> watched -> judged, or withdrawn while it is open. A person says
 * yes to whatever is still open when its turn comes. One that was carried out covers its services until its target is
 * well again, so that the same trouble is not proposed twice.
 */
export type Case = {
  target: number;
  members: Set<number>;
  sinceMs: number;
  openedMs: number;
  dueMs: number;
  state: 'open' | 'repairing' | 'watched' | 'judged' | 'withdrawn';
  lastFoundMs: number;
  repair: Repair | null;
};

const repairMs = minuteMs;
const watchedMs = 10 * minuteMs;
const restMs = 5 * minuteMs;

export type Desk = {
  cases: Case[];
  /** Withdraws, folds and opens after each look. */
  look: (findings: readonly Finding[], groups: readonly Group[], atMs: number) => void;
  /** Carries out what is due. */
  work: (atMs: number, found: readonly Finding[], repair: (service: number, atMs: number) => void) => void;
  /** Repairs that have been watched for long enough. */
  due: (atMs: number) => Case[];
};

export function openDesk({ seed, services }: Plan): Desk {
  const leaning = services.map((_, at) => new Set(dependents(services, at)));
  const cases: Case[] = [];
  let live: Case[] = [];

  const open = ({ root, members }: Group, findings: readonly Finding[], atMs: number): void => {
    const one: Case = {
      target: root,
      members: new Set(members),
      sinceMs: findings.find(({ service }) => service === root)?.sinceMs ?? atMs,
      openedMs: atMs,
      dueMs: atMs + (2 + 6 * chance(seed, root, 77)) * minuteMs,
      state: 'open',
      lastFoundMs: atMs,
      repair: null,
    };
    cases.push(one);
    live.push(one);
  };

  const look: Desk['look'] = (findings, groups, atMs) => {
    const found = new Set(findings.map(({ service }) => service));
    for (const one of live) {
      if (found.has(one.target)) one.lastFoundMs = atMs;
      const isGone = ![...one.members].some((member) => found.has(member));
      if (one.state === 'open' && isGone) one.state = 'withdrawn';
    }
    live = live.filter(
      ({ state, lastFoundMs }) =>
        state !== 'withdrawn' && (state !== 'judged' || atMs - lastFoundMs < restMs),
    );
    for (const group of groups) {
      const covering = live.filter(({ members }) => group.members.some((member) => members.has(member)));
      for (const { members } of covering) for (const member of group.members) members.add(member);
      // What was proposed for services that need the root is superseded by its own proposal.
      const old = covering.filter(
        ({ target, state }) => state === 'open' && leaning[group.root]?.has(target),
      );
      if (!group.isRipe || old.length < covering.length) continue;
      for (const one of old) one.state = 'withdrawn';
      live = live.filter(({ state }) => state !== 'withdrawn');
      open(group, findings, atMs);
    }
  };

  const work: Desk['work'] = (atMs, found, repair) => {
    for (const one of live)
      if (one.state === 'open' && one.dueMs <= atMs) {
        one.state = 'repairing';
        one.dueMs = atMs + repairMs;
      } else if (one.state === 'repairing' && one.dueMs <= atMs) {
        const { target, sinceMs } = one;
        const touched = new Set(
          live.filter(({ repair: made }) => made !== null).map((other) => other.target),
        );
        const peers = found.filter(({ service }) => service !== target && !touched.has(service));
        one.repair = { service: target, sinceMs, repairedMs: atMs, peers };
        one.state = 'watched';
        one.dueMs = atMs + watchedMs;
        repair(target, atMs);
      }
  };

  const due: Desk['due'] = (atMs) => live.filter(({ state, dueMs }) => state === 'watched' && dueMs <= atMs);
  return { cases, look, work, due };
}
