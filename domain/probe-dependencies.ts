/** Most endpoints that one names as what it cannot do without. */
export const mostDependencies = 20;

/**
 * Endpoints that depend on each other in a circle have no root to repair: the way from a probe over what it would depend
 * on back to itself, by id; null when there is none.
 */
export function circleOf(
  probeId: string,
  dependsOn: readonly string[],
  known: ReadonlyMap<string, readonly string[]>,
): string[] | null {
  const from = new Map<string, string>(dependsOn.map((id) => [id, probeId]));
  const open = [...from.keys()];
  for (let at = open.shift(); at !== undefined; at = open.shift()) {
    if (at === probeId) {
      const way = [probeId];
      for (let back = from.get(probeId); back !== undefined && back !== probeId; back = from.get(back))
        way.unshift(back);
      return [probeId, ...way];
    }
    for (const next of known.get(at) ?? [])
      if (!from.has(next)) {
        from.set(next, at);
        open.push(next);
      }
  }
  return null;
}
