import { defineConfig } from 'vitest/config';

const folders = (...names: string[]) => names.map((name) => `test/${name}/**/*.test.ts`);
const database = 'test/support/database-setup.ts';
const temporal = 'test/support/temporal-setup.ts';
const setupFiles = 'test/support/file-end.ts';

const replay = folders('replay');
const db = folders('db', 'activities');
const workflows = folders('workflows');
const e2e = folders('e2e', 'stack', 'cli');

export default defineConfig({
  root: `${import.meta.dirname}/..`,
  test: {
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    projects: [
      // unit takes every test that no other project names, so none is ever left out.
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...replay, ...db, ...workflows, ...e2e, 'test/architecture-fixtures/**'],
        },
      },
      { test: { name: 'replay', include: replay, setupFiles } },
      { test: { name: 'db', include: db, globalSetup: database, setupFiles } },
      // These watch the clock of real servers: one file at a time, after everything else.
      {
        test: {
          name: 'temporal',
          include: workflows,
          globalSetup: temporal,
          setupFiles,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: e2e,
          globalSetup: [database, temporal],
          setupFiles,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
