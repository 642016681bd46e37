type Range = { from: number; to: number };

/** Numbers that were passed over, as ranges. */
export type Gaps = {
  open(from: number, to: number): void;
  /** True when the number was missing; it no longer is. */
  fill(number: number): boolean;
  list(): Range[];
};

/** A chain of which every second entry is gone would need a range for each; after so many no more are kept apart. */
const maxRanges = 10_000;

export function createGaps(): Gaps {
  let ranges: Range[] = [];
  return {
    open(from, to) {
      if (to < from) return;
      const last = ranges.at(-1);
      if (last !== undefined && (last.to + 1 === from || ranges.length >= maxRanges)) last.to = to;
      else ranges.push({ from, to });
    },
    fill(number) {
      const at = ranges.findIndex(({ from, to }) => from <= number && number <= to);
      const range = ranges[at];
      if (range === undefined) return false;
      const left = { from: range.from, to: number - 1 };
      const right = { from: number + 1, to: range.to };
      ranges = ranges.toSpliced(at, 1, ...[left, right].filter(({ from, to }) => from <= to));
      return true;
    },
    list: () => ranges,
  };
}
