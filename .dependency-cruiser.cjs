// The import rules of the code, one named rule for each sentence. Every rule has a fixture of the
// same name in test/architecture-fixtures, which test/architecture.test.ts proves that it fires on.

const folders = (...names) => `^(?:${names.join('|')})/`;
const packages = (...names) => `(?:^|/)node_modules/(?:${names.join('|')})/`;

/** Files under `from` may import what `to` lists, as values or as types, and nothing else. */
const onlyImports = (name, from, to, { node = false, comment } = {}) => ({
  name,
  severity: 'error',
  ...(comment && { comment }),
  from: { path: from },
  to: { pathNot: to, ...(node && { dependencyTypesNot: ['core'] }) },
});

/**
 * Files under `from` may import `to`, but only with `import type`. Lint refuses `import { type X }`,
 * which leaves an import of the whole file behind once its types are stripped.
 */
const typesOnly = (name, from, to, comment) => ({
  name,
  severity: 'error',
  ...(comment && { comment }),
  from: { path: from },
  to: { ...to, dependencyTypesNot: ['type-only', 'type-import'] },
});

/** `to` may be imported from `allowed` only. */
const onlyFrom = (name, to, allowed, comment) => ({
  name,
  severity: 'error',
  ...(comment && { comment }),
  from: { pathNot: allowed },
  to: { path: to },
});

const temporal = (...names) => packages(...names.map((name) => `@temporalio/${name}`));

module.exports = {
  forbidden: [
    onlyImports(
      'domain-imports-only-domain-and-zod',
      folders('domain'),
      [folders('domain'), packages('zod', '@marcbachmann/cel-js', 're2js', 'ajv')],
      {
        comment: 'Both a workflow and an API handler load domain: it has no clock, no randomness, no node:*.',
      },
    ),
    {
      name: 'domain-uses-zod-only-where-others-shape-the-data',
      comment: 'zod is for domain/config.ts, domain/events.ts, domain/schemas/*.ts and domain/registry/**.',
      severity: 'error',
      from: {
        path: folders('domain'),
        pathNot: '^domain/(?:config\\.ts$|events\\.ts$|schemas/[^/]+\\.ts$|registry/)',
      },
      to: { path: packages('zod') },
    },

    onlyFrom(
      'cel-and-re2-only-in-filters-and-schemas',
      packages('@marcbachmann/cel-js', 're2js'),
      ['^domain/(?:event-filter|filter-[^/]+|event-schema)\\.ts$', folders('test')],
      'Expressions and patterns of others are evaluated in one place, which counts their steps.',
    ),
    onlyFrom(
      'ajv-only-in-the-check-of-event-schemas',
      packages('ajv'),
      '^domain/event-schema\\.ts$',
      'It makes code at run time: no workflow bundle may hold it.',
    ),

    onlyImports('workflows-import-only-domain-and-the-workflow-sdk', folders('workflows'), [
      folders('workflows', 'domain', 'activities'),
      temporal('workflow', 'common'),
    ]),
    typesOnly(
      'workflows-import-activities-as-types-only',
      folders('workflows'),
      { path: folders('activities') },
      'A value import pulls the side effects of the activity into the deterministic bundle.',
    ),

    onlyImports(
      'activities-import-only-domain-db-and-the-activity-sdk',
      folders('activities'),
      [
        folders('activities', 'domain', 'db'),
        temporal('activity', 'common', 'client'),
        packages('undici', 'ipaddr\\.js', 'standardwebhooks', 'nodemailer'),
      ],
      { node: true },
    ),
    typesOnly('activities-import-the-temporal-client-as-types-only', folders('activities'), {
      path: temporal('client'),
    }),

    onlyImports(
      'db-imports-only-domain-drizzle-and-postgres',
      folders('db'),
      [folders('db', 'domain'), packages('drizzle-orm', 'drizzle-kit', 'postgres', 'rate-limiter-flexible')],
      { node: true },
    ),
    onlyFrom(
      'drizzle-and-postgres-only-in-db',
      packages('drizzle-orm', 'postgres'),
      folders('db', 'test'),
      'Everything that knows SQL lives in db; the others call its verbs.',
    ),
    onlyFrom('drizzle-kit-only-in-its-configuration', packages('drizzle-kit'), [
      '^db/drizzle\\.config\\.ts$',
      folders('test'),
    ]),

    onlyImports(
      'api-imports-only-domain-db-hono-and-the-temporal-client',
      folders('api'),
      [
        folders('api', 'domain', 'db', 'workflows'),
        temporal('client', 'common', 'envconfig'),
        packages('hono', '@hono/[^/]+', 'pino', 'jose', 'ipaddr\\.js', 'prom-client'),
      ],
      { node: true },
    ),
    onlyFrom(
      'jose-only-in-api',
      packages('jose'),
      folders('api', 'test'),
      'Logins are checked where requests come in; nothing behind it sees a token.',
    ),
    onlyFrom(
      'prom-client-only-in-api-metrics',
      packages('prom-client'),
      ['^api/metrics\\.ts$', folders('test')],
      'What is measured, and under which labels, is read in one file.',
    ),
    typesOnly(
      'api-imports-workflows-as-types-only-but-for-messages',
      folders('api'),
      { path: folders('workflows'), pathNot: '^workflows/messages\\.ts$' },
      'A typed Query or Update needs its definition object; the workflows themselves run in the worker only.',
    ),

    onlyImports(
      'workers-import-only-domain-db-activities-and-the-worker-sdk',
      folders('workers'),
      [
        folders('workers', 'domain', 'db', 'activities', 'workflows'),
        temporal('worker', 'client', 'envconfig', 'common'),
        packages('pino'),
      ],
      { node: true },
    ),
    typesOnly(
      'workers-import-workflows-as-types-only',
      folders('workers'),
      { path: folders('workflows') },
      'Workers give the bundler a path to workflows.',
    ),

    onlyImports(
      'stack-imports-only-domain-and-db',
      folders('stack'),
      [...[folders('stack', 'domain', 'db')].flat(), '^scripts/lock\\.mjs$'],
      {
        node: true,
        comment: 'The supervisor starts the API and the workers as processes, by path.',
      },
    ),
    onlyImports(
      'cli-imports-only-domain-and-citty',
      folders('cli'),
      [folders('cli', 'domain'), packages('citty')],
      { node: true, comment: 'The command line talks to the API over HTTP.' },
    ),
    onlyImports(
      'demo-imports-only-stack-domain-cli-and-temporal',
      folders('demo'),
      [folders('demo', 'stack', 'domain', 'cli'), temporal('[^/]+')],
      { node: true },
    ),
    onlyImports(
      'bench-imports-only-stack-domain-cli-db-and-temporal',
      folders('bench'),
      [
        folders('bench', 'stack', 'domain', 'cli', 'db'),
        temporal('[^/]+'),
        // The bus is measured without HTTP too: its own writer, and the consumer that a worker runs.
        '^api/event-writer\\.ts$',
        '^activities/subscriptions\\.ts$',
        // What a cycle learns is measured without a worker.
        '^activities/resonance\\.ts$',
        '^workers/wakeups\\.ts$',
        packages('undici', 'graphile-worker', 'pg-boss'),
      ],
      { node: true },
    ),
    onlyImports('scripts-import-only-node', '^scripts/(?!sdk-download\\.mjs$)', folders('scripts'), {
      node: true,
      comment: 'Set-up runs before any package is installed.',
    }),

    onlyFrom(
      'temporal-workflow-only-in-workflows',
      temporal('workflow'),
      folders('workflows', 'test', 'bench'),
    ),
    onlyFrom(
      'peers-only-in-bench',
      packages('graphile-worker', 'pg-boss'),
      folders('bench'),
      'They are here to be compared with.',
    ),
    onlyFrom('nobody-imports-test', folders('test'), folders('test')),
    onlyFrom('nobody-imports-demo', folders('demo'), folders('demo', 'test/demo')),
    onlyFrom('nobody-imports-bench', folders('bench'), folders('bench')),

    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'every-import-resolves',
      comment:
        'The other rules match on the resolved path, so an import they cannot resolve would escape them.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
    doNotFollow: { path: '(?:^|/)node_modules/' },
    exclude: { path: '^(?:test/architecture-fixtures|\\.dreamnet|coverage)/' },
  },
};
