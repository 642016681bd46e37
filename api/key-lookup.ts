/**
 * Lets requests that show one key at the same time share one read of it. Nobody is told anything older than its own
 * request: a read that has begun is never joined, only one that is still waiting for its turn, so a changed permission
 * acts at once (TRUST 4.4).
 */
export function createKeyLookup<T>(find: (id: string) => Promise<T>): (id: string) => Promise<T> {
  /** Two of a key, so that one slow answer does not hold up all who come after it. */
  const maxReads = 2;
  const keys = new Map<string, { reads: number; next: PromiseWithResolvers<T> | null }>();

  function read(id: string): Promise<T> {
    const state = keys.get(id) ?? { reads: 0, next: null };
    keys.set(id, state);
    state.reads += 1;
    return find(id).finally(() => {
      state.reads -= 1;
      const waiting = state.next;
      state.next = null;
      if (waiting !== null) read(id).then(waiting.resolve, waiting.reject);
      else if (state.reads === 0) keys.delete(id);
    });
  }

  return (id) => {
    const state = keys.get(id);
    if (state === undefined || state.reads < maxReads) return read(id);
    state.next ??= Promise.withResolvers<T>();
    return state.next.promise;
  };
}
