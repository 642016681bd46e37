import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import temporal from 'eslint-plugin-temporal';
import tseslint from 'typescript-eslint';

// no-restricted-syntax is one rule, so a later block replaces an earlier one: each block names its whole list.
const restricted = (...lists) => ({ 'no-restricted-syntax': ['error', ...lists.flat()] });

const defaultExports = [
  {
    selector: 'ExportDefaultDeclaration, ExportSpecifier[exported.name="default"]',
    message: 'No default exports: a name is the same everywhere it is used (STYLE 2).',
  },
];

const shapes = [
  { selector: 'TSEnumDeclaration', message: 'No enums: `const X = [...] as const` and its type (STYLE 2).' },
  {
    selector: ':matches(ClassDeclaration, ClassExpression):not([superClass.name=/(Error|Failure)$/])',
    message: 'No classes but errors: write functions, or createX(deps) (STYLE 2).',
  },
];

const oneStatement = 'one statement per state change: use db/change.ts (DESIGN 7)';
const transactions = [
  {
    selector:
      'CallExpression > MemberExpression.callee:matches([property.name=/^(begin|transaction)$/], [property.value=/^(begin|transaction)$/])',
    message: oneStatement,
  },
  {
    selector:
      'TaggedTemplateExpression > TemplateLiteral > TemplateElement:first-child[value.raw=/^\\s*(begin|start\\s+transaction)\\b/i]',
    message: oneStatement,
  },
];

const rawSql = [
  {
    selector: 'MemberExpression:matches([property.name="unsafe"], [property.value="unsafe"])',
    message: 'sql.unsafe sends text as it is: use a tagged template, which binds its values.',
  },
  {
    selector: 'MemberExpression[object.name=/sql$/i]:matches([property.name="raw"], [property.value="raw"])',
    message: 'sql.raw sends text as it is: use sql.identifier, sql.param or a tagged template.',
  },
];

const environmentMessage =
  'Only the entry files (*/main.ts) read process.env; pass what they parsed (STYLE 1).';
const environment = [
  {
    selector:
      'MemberExpression[object.name="process"]:matches([property.name="env"], [property.value="env"])',
    message: environmentMessage,
  },
  {
    selector: 'VariableDeclarator[init.name="process"] > ObjectPattern > Property[key.name="env"]',
    message: environmentMessage,
  },
  {
    selector: 'ImportDeclaration[source.value=/^(node:)?process$/] ImportSpecifier[imported.name="env"]',
    message: environmentMessage,
  },
];

const clockMessage = 'domain has no clock: take `now` as an argument.';
const clocks = [
  { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: clockMessage },
  { selector: 'CallExpression[callee.name="Date"]', message: clockMessage },
];

const everyTestRuns = 'Every test runs, every time: a test that cannot run fails (STYLE 4).';
const testName = '/^(describe|it|test|suite)$/';
const switchedOff = '/^(only|skip|todo|skipIf|runIf)$/';
const tests = [
  {
    selector: `MemberExpression[property.name=${switchedOff}]:matches([object.name=${testName}], [object.object.name=${testName}])`,
    message: everyTestRuns,
  },
  {
    selector: `CallExpression[callee.name=${testName}] > ObjectExpression > Property[key.name=${switchedOff}]`,
    message: everyTestRuns,
  },
  {
    selector:
      'CallExpression > MemberExpression.callee[object.name=/^(t|ctx|context)$/][property.name="skip"]',
    message: everyTestRuns,
  },
];

const globalsBanned = (message, names) => [
  'error',
  { globals: names.map((name) => ({ name, message })), checkGlobalObject: true },
];
const random = {
  object: 'Math',
  property: 'random',
  message: 'Same input, same result: no randomness here.',
};

export default defineConfig(
  globalIgnores(['test/architecture-fixtures/', 'db/migrations/', '.dreamnet/', 'coverage/', '**/*.d.mts']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: {
      globals: {
        ...Object.fromEntries(Object.getOwnPropertyNames(globalThis).map((name) => [name, 'readonly'])),
        module: 'writable',
      },
    },
    rules: { eqeqeq: 'error' },
  },
  { files: ['**/*.mjs'], rules: restricted(defaultExports, shapes) },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/no-namespace': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: false },
      ],
      // An activity, a handler or a stub is async because its interface says so.
      '@typescript-eslint/require-await': 'off',
      ...restricted(defaultExports, shapes, transactions, rawSql, environment),
    },
  },

  {
    files: ['domain/**/*.ts'],
    rules: {
      ...restricted(defaultExports, shapes, transactions, rawSql, environment, clocks),
      'no-restricted-globals': globalsBanned('domain is pure: pass what it needs as an argument.', [
        'process',
        'crypto',
        'fetch',
        'performance',
        'setTimeout',
        'setInterval',
        'setImmediate',
        'queueMicrotask',
      ]),
      'no-restricted-properties': [
        'error',
        random,
        { object: 'Date', property: 'now', message: clockMessage },
      ],
    },
  },
  {
    // Temporal replaces Date and setTimeout in the sandbox, so these are deterministic and allowed.
    files: ['workflows/**/*.ts'],
    plugins: { temporal },
    rules: {
      'no-restricted-globals': globalsBanned('A workflow is deterministic: do this in an activity.', [
        'process',
        'crypto',
        'fetch',
        'performance',
        'setInterval',
        'setImmediate',
        'WeakRef',
        'FinalizationRegistry',
      ]),
      'no-restricted-properties': ['error', random],
      'temporal/workflow-no-process-env': 'error',
      'temporal/workflow-require-activity-timeouts': 'error',
      'temporal/workflow-require-all-handlers-finished': 'error',
      'temporal/workflow-require-handler-serialization-safe-types': 'error',
      'temporal/workflow-require-type-only-activity-imports': 'error',
    },
  },
  { files: ['*/main.ts'], rules: restricted(defaultExports, shapes, transactions, rawSql) },
  { files: ['db/migrate.ts'], rules: restricted(defaultExports, shapes, environment) },
  { files: ['db/bootstrap.ts'], rules: restricted(defaultExports, shapes, transactions, environment) },
  { files: ['db/drizzle.config.ts'], rules: restricted(shapes, transactions, rawSql) },
  {
    files: ['test/**/*.ts'],
    rules: {
      ...restricted(defaultExports, shapes, transactions, tests),
      // Tests read answers as the outside world does, without their types.
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  { files: ['test/vitest.config.ts'], rules: restricted(shapes, transactions) },
);
