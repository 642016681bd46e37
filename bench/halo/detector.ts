import type { Verdict } from '../../domain/verdict.ts';
import type { Service } from './plan.ts';
import type { Result } from './world.ts';

/** A service that is in trouble, as one of the two detectors sees it. */
export type Finding = { service: number; sinceMs: number };
/** What is repaired together, by a repair of its root; proposed once it is ripe. */
export type Group = { root: number; members: number[]; isRipe: boolean };
export type Repair = {
  service: number;
  sinceMs: number;
  repairedMs: number;
  peers: { service: number; sinceMs: number }[];
};

/** Both sides have the same results, the same declared dependencies, and are asked at the same times. */
export type Detector = {
  see: (service: number, result: Result) => void;
  findings: () => Finding[];
  groups: (findings: readonly Finding[], atMs: number) => Group[];
  judge: (repair: Repair, history: History) => Verdict | null;
};
export type CreateDetector = (services: readonly Service[]) => Detector;

/** The results of a service from one time until before another. */
export type History = (service: number, fromMs: number, untilMs: number) => Result[];
