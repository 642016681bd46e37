/** Numbers that only their seed decides (mulberry32). */
export type Random = {
  /** From 0 to 1, without 1. */
  next: () => number;
  between: (from: number, to: number) => number;
  /** A whole number, both ends included. */
  whole: (from: number, to: number) => number;
  normal: () => number;
  happens: (share: number) => boolean;
};

export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (from: number, to: number): number => from + next() * (to - from);
  return {
    next,
    between,
    whole: (from, to) => Math.floor(between(from, to + 1)),
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    happens: (share) => next() < share,
  };
}

/** A number from 0 to 1 for a place in the world: the same however often, and in whatever order, it is asked for. */
export function chance(seed: number, ...place: number[]): number {
  let mixed = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b);
  for (const one of place) {
    mixed = Math.imul(mixed ^ (mixed >>> 15) ^ one, 0x2c1b3c6d);
    mixed = Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39);
  }
  return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
}
