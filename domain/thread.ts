/** Events that one tree shows; the rest of a longer thread is named, not drawn. */
export const maxThreadEvents = 1_000;

/** What an event has to say to find its place in a thread; `at` is when it was recorded. */
export type Link = { id: string; causationId: string | null; at: Date };

/** `orphan`: its cause is not part of the thread, or it names none; it hangs under the root. */
export type ThreadNode<T> = {
  event: T;
  link: 'root' | 'caused' | 'orphan';
  parentId: string | null;
  /** Levels below the root. */
  depth: number;
  /** Between the recording of its cause and its own. */
  delayMs: number | null;
};

/**
 * The tree of a thread, each event before those it caused, in the order of the log. The root is the first event without
 * a cause in the thread, unless one is named. The depth counts the events of the longest chain of causes. A circle of
 * causes is cut at its first event.
 */
export function arrangeThread<T extends Link>(
  events: readonly T[],
  rootId?: string,
): { nodes: ThreadNode<T>[]; depth: number } {
  const byId = new Map(events.map((event) => [event.id, event]));
  const causeOf = ({ id, causationId }: T): T | undefined =>
    causationId === null || causationId === id ? undefined : byId.get(causationId);
  const root =
    (rootId === undefined ? undefined : byId.get(rootId)) ??
    events.find((event) => causeOf(event) === undefined) ??
    events[0];
  if (root === undefined) return { nodes: [], depth: 0 };

  const effects = new Map<string, T[]>();
  for (const event of events) {
    const cause = causeOf(event);
    if (event === root || cause === undefined) continue;
    const siblings = effects.get(cause.id);
    if (siblings === undefined) effects.set(cause.id, [event]);
    else siblings.push(event);
  }

  const placed = new Set<string>([root.id]);
  const nodes: ThreadNode<T>[] = [];
  let longest = 0;

  function place(first: ThreadNode<T>): void {
    const waiting = [{ node: first, chain: 1 }];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { node, chain } = next;
      nodes.push(node);
      longest = Math.max(longest, chain);
      const fresh = (effects.get(node.event.id) ?? []).filter(({ id }) => !placed.has(id));
      for (const event of fresh) placed.add(event.id);
      for (const event of fresh.reverse())
        waiting.push({
          node: {
            ...{ event, link: 'caused', parentId: node.event.id, depth: node.depth + 1 },
            delayMs: event.at.getTime() - node.event.at.getTime(),
          },
          chain: chain + 1,
        });
    }
  }

  place({ event: root, link: 'root', parentId: null, depth: 0, delayMs: null });
  const loose = events.filter((event) => causeOf(event) === undefined);
  // What is left after these has causes that go in a circle.
  for (const event of [...loose, ...events]) {
    if (placed.has(event.id)) continue;
    placed.add(event.id);
    place({ event, link: 'orphan', parentId: root.id, depth: 1, delayMs: null });
  }
  return { nodes, depth: longest };
}
