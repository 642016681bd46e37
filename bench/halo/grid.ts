/** Values to try for each setting. */
export type Grid<Settings> = { [Key in keyof Settings]: readonly Settings[Key][] };

/**
 * One setting after the other takes the value of the grid that costs least, until no setting of a whole round does
 * better; from each of the starts, of which the cheapest end counts.
 */
export function searchGrid<Settings extends object>(
  grid: Grid<Settings>,
  starts: readonly Settings[],
  cost: (settings: Settings) => number,
): { settings: Settings; cost: number; tried: number } | null {
  const known = new Map<string, number>();
  const costOf = (settings: Settings): number => {
    const key = JSON.stringify(settings);
    const found = known.get(key) ?? cost(settings);
    known.set(key, found);
    return found;
  };
  let best: { settings: Settings; cost: number } | null = null;
  for (const start of starts) {
    let at = { settings: start, cost: costOf(start) };
    for (let isBetter = true; isBetter;) {
      isBetter = false;
      for (const key of Object.keys(grid) as (keyof Settings)[])
        for (const value of grid[key]) {
          const settings = { ...at.settings, [key]: value };
          const tried = { settings, cost: costOf(settings) };
          if (tried.cost >= at.cost) continue;
          at = tried;
          isBetter = true;
        }
    }
    if (best === null || at.cost < best.cost) best = at;
  }
  return best && { ...best, tried: known.size };
}
