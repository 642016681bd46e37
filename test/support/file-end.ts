import { afterAll } from 'vitest';

const endings: (() => unknown)[] = [];

/** Says what has to be ended with the test file. An `afterAll` inside a `beforeAll` comes too late: vitest never runs it. */
export function atFileEnd(end: () => unknown): void {
  endings.push(end);
}

// The last one first, as each may need what was there before it. Also a setup file, so that this hook is in time.
afterAll(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});
