import { join } from 'node:path';
import type { StackConfig } from './config.ts';
import type { Stack } from './start.ts';

// Never the password: only where the database is.
function describeDatabase(url: string): string {
  try {
    const { host, pathname } = new URL(url);
    return `${host}${pathname}`;
  } catch {
    return 'as DATABASE_URL says';
  }
}

export function asTable(stack: Stack, config: StackConfig): string {
  const embedded = config.database.kind === 'embedded';
  const rows = [
    ['API', stack.urls.api],
    ['API docs', stack.urls.docs],
    ['Temporal Web UI', stack.urls.temporalUi ?? 'set DREAMNET_TEMPORAL_UI_URL to have links'],
    ['Temporal server', stack.temporal.TEMPORAL_ADDRESS ?? 'as the Temporal profile says'],
    [
      'Postgres',
      describeDatabase(stack.databaseUrl) +
        (embedded ? ' (user dreamnet_app, password in ' + join(config.dataDir, 'postgres-app') + ')' : ''),
    ],
    ['Admin key', stack.keys.admin],
    ['Operator key', stack.keys.operator],
    ['Logs', stack.logs],
  ];
  const lines = rows.map(([name, value]) => `  ${String(name).padEnd(17)}${value}`);
  return [
    '',
    'DreamNet is running.',
    '',
    ...lines,
    '',
    '  Try it:  npx dreamnet inbox',
    '  Stop it: Ctrl-C',
    '',
    '',
  ].join('\n');
}

export function asJson(stack: Stack, config: StackConfig): string {
  const { urls, keys, logs } = stack;
  const record = {
    running: true,
    pid: process.pid,
    urls,
    temporalAddress: stack.temporal.TEMPORAL_ADDRESS ?? null,
    postgres: describeDatabase(stack.databaseUrl),
    dataDir: config.dataDir,
    keys,
    logs,
    pids: stack.pids(),
  };
  return `${JSON.stringify(record)}\n`;
}
