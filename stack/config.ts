import { join, resolve } from 'node:path';
import { StackError } from './error.ts';
import { readToolchain } from './toolchain.ts';

export type Variables = Readonly<Record<string, string | undefined>>;

export type StackConfig = {
  root: string;
  dataDir: string;
  host: string;
  /** 0 means any free port, here and below. */
  port: number;
  temporal:
    | { kind: 'local'; cli: string | null; port: number; uiPort: number; namespace: string }
    | { kind: 'given'; variables: Record<string, string> };
  database: { kind: 'embedded' } | { kind: 'given'; databaseUrl: string; migrateUrl: string };
  temporalUiUrl: string | null;
  /** What every child gets: the variables of the system it needs, and all DREAMNET_ ones that were set. */
  childEnv: Record<string, string>;
};

const systemVariables = ['PATH', 'HOME', 'TZ', 'NODE_EXTRA_CA_CERTS', 'LOG_LEVEL'];
const temporalConnection = ['TEMPORAL_ADDRESS', 'TEMPORAL_PROFILE', 'TEMPORAL_CONFIG_FILE'];

function readPort(env: Variables, name: string, fallback: number): number {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) {
    throw new StackError(
      `${name} is "${text}". Allowed: a port number from 1 to 65535, or 0 for any free port. Change it or unset it.`,
    );
  }
  return port;
}

function pick(env: Variables, isWanted: (name: string) => boolean): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && value !== '' && isWanted(name)) found[name] = value;
  }
  return found;
}

function readTemporal(env: Variables, root: string): StackConfig['temporal'] {
  if (temporalConnection.some((name) => env[name])) {
    return { kind: 'given', variables: pick(env, (name) => name.startsWith('TEMPORAL_')) };
  }
  const port = readPort(env, 'DREAMNET_TEMPORAL_PORT', 7233);
  return {
    kind: 'local',
    cli: env.TEMPORAL_CLI_PATH ? resolve(env.TEMPORAL_CLI_PATH) : readToolchain(root).temporalCli,
    port,
    uiPort: readPort(env, 'DREAMNET_TEMPORAL_UI_PORT', port === 0 ? 0 : 8233),
    namespace: env.TEMPORAL_NAMESPACE || 'default',
  };
}

/** What the environment asks for. */
export function readStackConfig(env: Variables, root: string): StackConfig {
  const databaseUrl = env.DATABASE_URL;
  return {
    root,
    dataDir: env.DREAMNET_DATA_DIR ? resolve(env.DREAMNET_DATA_DIR) : join(root, '.dreamnet'),
    host: env.DREAMNET_HOST || '127.0.0.1',
    port: readPort(env, 'PORT', 8080),
    temporal: readTemporal(env, root),
    database: databaseUrl
      ? { kind: 'given', databaseUrl, migrateUrl: env.MIGRATE_DATABASE_URL || databaseUrl }
      : { kind: 'embedded' },
    temporalUiUrl: env.DREAMNET_TEMPORAL_UI_URL || null,
    childEnv: pick(env, (name) => systemVariables.includes(name) || name.startsWith('DREAMNET_')),
  };
}
