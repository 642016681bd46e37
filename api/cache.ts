import { performance } from 'node:perf_hooks';

export type Cache<T> = {
  /** At most a second old: a change acts on every process within that time. */
  current(): Promise<T>;
  /** The newest that was ever read, for reads while the database does not answer. */
  lastKnown(): T | null;
  /** After a change made here, so that the next request already sees it. */
  forget(): void;
};

const maxAgeMs = 1_000;
/** From this age on the next is fetched beside the requests, so that under load none of them waits for it. */
const renewAfterMs = 500;

export function createCache<T>(load: () => Promise<T>): Cache<T> {
  let known: { value: T; at: number } | null = null;
  let loading: Promise<T> | null = null;

  function renew(): Promise<T> {
    if (loading !== null) return loading;
    const at = performance.now();
    const mine = load().then(
      (value) => {
        // What was read before a change made here is of no use any more.
        if (loading === mine) [known, loading] = [{ value, at }, null];
        return value;
      },
      (error: unknown) => {
        if (loading === mine) loading = null;
        throw error;
      },
    );
    loading = mine;
    return mine;
  }

  return {
    async current() {
      const age = known === null ? Infinity : performance.now() - known.at;
      if (known === null || age > maxAgeMs) return renew();
      // A failure shows once the age is over.
      if (age > renewAfterMs) void renew().catch(() => undefined);
      return known.value;
    },
    lastKnown: () => known?.value ?? null,
    forget() {
      loading = null;
      if (known !== null) known.at = -Infinity;
    },
  };
}
