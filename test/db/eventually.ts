import { expect } from 'vitest';

/** Waits for what must become true, however busy the machine is; other test files can hold the log's horizon back. */
export function eventually<T>(look: () => T) {
  return expect.poll(look, { timeout: 30_000, interval: 20 });
}
