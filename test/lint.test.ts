import { join } from 'node:path';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { describe, expect, test } from 'vitest';

const cwd = join(import.meta.dirname, '..');

// Syntax rules need no types, so a snippet may stand at a path where there is no file.
const untyped = new ESLint({
  cwd,
  overrideConfig: [
    tseslint.configs.disableTypeChecked,
    { languageOptions: { parserOptions: { projectService: false } } },
  ],
});
const typed = new ESLint({ cwd });

async function lint(eslint: ESLint, filePath: string, code: string): Promise<string[]> {
  const results = await eslint.lintText(code, { filePath: join(cwd, filePath) });
  return results.flatMap(({ messages }) =>
    messages
      .map(({ ruleId, message }) => ruleId ?? `cannot lint: ${message}`)
      .filter((rule) => rule !== '@typescript-eslint/no-unused-vars'),
  );
}

const syntax = 'no-restricted-syntax';
const workflow = `import { proxyActivities, setHandler, defineUpdate, condition, allHandlersFinished } from '@temporalio/workflow';\n`;

describe('a snippet is refused', () => {
  test.for([
    ['an interactive transaction', 'db/tasks.ts', 'await sql.begin(() => undefined);', syntax],
    ['a drizzle transaction', 'api/app.ts', 'await db.transaction(() => undefined);', syntax],
    ['a transaction by hand', 'db/tasks.ts', 'await sql`begin`;', syntax],
    ['a transaction in a test', 'test/db/tasks.test.ts', 'await sql.begin(() => undefined);', syntax],
    ['text sent as SQL', 'db/tasks.ts', 'await sql.unsafe(text);', syntax],
    ['text sent as SQL through drizzle', 'db/tasks.ts', 'run(sql.raw(text));', syntax],
    [
      'the clock in domain',
      'domain/task.ts',
      'export const now = () => Date.now();',
      'no-restricted-properties',
    ],
    ['a new Date in domain', 'domain/registry/squad.ts', 'export const now = () => new Date();', syntax],
    [
      'randomness in domain',
      'domain/task.ts',
      'export const id = () => Math.random();',
      'no-restricted-properties',
    ],
    ['a timer in domain', 'domain/task.ts', 'setTimeout(() => undefined, 1);', 'no-restricted-globals'],
    ['the network in a workflow', 'workflows/task.ts', "await fetch('http://x');", 'no-restricted-globals'],
    [
      'hidden crypto in a workflow',
      'workflows/task.ts',
      'globalThis.crypto.randomUUID();',
      'no-restricted-globals',
    ],
    ['the environment in an activity', 'activities/http.ts', 'export const url = process.env.URL;', syntax],
    ['the environment taken apart', 'api/app.ts', 'const { env } = process;', syntax],
    ['the environment by import', 'api/app.ts', "import { env } from 'node:process';", syntax],
    [
      'the environment in a workflow',
      'workflows/task.ts',
      'export const url = process.env.URL;',
      'temporal/workflow-no-process-env',
    ],
    ['a default export', 'api/app.ts', 'export default 1;', syntax],
    ['a default export by name', 'api/app.ts', 'const x = 1; export { x as default };', syntax],
    ['an enum', 'domain/task.ts', 'export enum State { Open }', syntax],
    [
      'a namespace',
      'domain/task.ts',
      'export namespace Tasks { export const a = 1; }',
      '@typescript-eslint/no-namespace',
    ],
    ['a class', 'api/app.ts', 'export class TaskManager {}', syntax],
    [
      'an import that leaves its file behind when its types are stripped',
      'workflows/task.ts',
      "import { type A } from '../activities/tasks.ts';\nexport type B = A;",
      '@typescript-eslint/no-import-type-side-effects',
    ],
    ['any', 'api/app.ts', 'export const x = (y: any) => y;', '@typescript-eslint/no-explicit-any'],
    ['a test left alone', 'test/domain/task.test.ts', "test.only('x', () => undefined);", syntax],
    ['a skipped group', 'test/domain/task.test.ts', "describe.skip('x', () => undefined);", syntax],
    [
      'a test skipped behind a modifier',
      'test/domain/task.test.ts',
      "test.concurrent.skip('x', () => undefined);",
      syntax,
    ],
    [
      'a test skipped by an option',
      'test/domain/task.test.ts',
      "test('x', { skip: true }, () => undefined);",
      syntax,
    ],
    ['a test still to be written', 'test/domain/task.test.ts', "it.todo('x');", syntax],
    [
      'a test skipped on a condition',
      'test/e2e/story.test.ts',
      "it.skipIf(true)('x', () => undefined);",
      syntax,
    ],
    [
      'a value import of activities in a workflow',
      'workflows/task.ts',
      "import { run } from '../activities/tasks.ts';\nexport const x = run;",
      'temporal/workflow-require-type-only-activity-imports',
    ],
    [
      'an activity without a timeout',
      'workflows/task.ts',
      `${workflow}export const { run } = proxyActivities<{ run(): Promise<void> }>({ retry: { maximumAttempts: 1 } });`,
      'temporal/workflow-require-activity-timeouts',
    ],
    [
      'a message that JSON cannot carry',
      'workflows/messages.ts',
      `${workflow}export const decide = defineUpdate<void, [Map<string, string>]>('decide');`,
      'temporal/workflow-require-handler-serialization-safe-types',
    ],
    [
      'a workflow that leaves its handlers behind',
      'workflows/task.ts',
      `${workflow}const decide = defineUpdate<void>('decide');\nexport async function task(): Promise<void> {\n  setHandler(decide, async () => { await condition(() => true); });\n  await condition(() => true);\n}`,
      'temporal/workflow-require-all-handlers-finished',
    ],
  ] as const)('%s', async ([, file, code, rule]) => {
    expect(await lint(untyped, file, code)).toContain(rule);
  });

  test.for([
    ['a floating promise', 'Promise.resolve(1);', '@typescript-eslint/no-floating-promises'],
    [
      'a promise as a condition',
      'if (Promise.resolve(1)) console.log();',
      '@typescript-eslint/no-misused-promises',
    ],
    [
      'a case left out',
      "export function f(x: 'a' | 'b') { switch (x) { case 'a': return 1; } }",
      '@typescript-eslint/switch-exhaustiveness-check',
    ],
    [
      'a type imported as a value',
      "import { ESLint } from 'eslint';\nexport const f = (x: ESLint) => typeof x;",
      '@typescript-eslint/consistent-type-imports',
    ],
  ] as const)('%s', async ([, code, rule]) => {
    // This file exists, so the type checker accepts the path.
    expect(await lint(typed, 'test/lint.test.ts', code)).toContain(rule);
  });
});

describe('a snippet is accepted', () => {
  test.for([
    ['a transaction in the migration', 'db/migrate.ts', 'await sql.begin(() => undefined);'],
    ['role set-up as text', 'db/bootstrap.ts', 'await sql.unsafe(text);'],
    ['raw SQL in a test', 'test/db/tasks.test.ts', 'await sql.unsafe(text);'],
    ['String.raw', 'db/tasks.ts', 'export const x = String.raw`a`;'],
    ['the environment in an entry file', 'api/main.ts', 'export const url = process.env.URL;'],
    ['the environment in a test', 'test/support/database.ts', 'export const url = process.env.URL;'],
    ['the clock in a workflow', 'workflows/task.ts', 'export const now = () => Date.now();'],
    ['a given date in domain', 'domain/task.ts', 'export const at = (ms: number) => new Date(ms);'],
    ['an error class', 'domain/refusal.ts', 'export class DomainError extends Error {}'],
    ['a configuration file', 'db/drizzle.config.ts', 'export default { url: process.env.URL };'],
  ] as const)('%s', async ([, file, code]) => {
    expect(await lint(untyped, file, code)).toEqual([]);
  });
});
