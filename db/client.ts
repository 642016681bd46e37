import net from 'node:net';
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import * as schema from './schema/index.ts';

export type Sql = postgres.Sql;
export type Db = PostgresJsDatabase<typeof schema>;

export type Database = {
  /** Records: every read and every state change. */
  db: Db;
  /** The event log's hot path; drizzle rewrites the serializers of its client, so this one is separate. */
  log: Sql;
  close(): Promise<void>;
};

// Nagle's algorithm holds back the second small packet of a statement, and postgres.js leaves it on. The socket is given
// before it is connected: the driver never frees the place of a connection whose socket it did not see fail.
function openSocket({ host, port }: { host: string[]; port: number[] }): net.Socket {
  return net.connect({ host: host[0] ?? '127.0.0.1', port: port[0] ?? 5432, noDelay: true });
}

/**
 * drizzle sends every statement unnamed: Postgres parses it anew each time and the driver needs a second round trip for
 * its parameters. Named ones are parsed once per connection; a decision is some fifteen statements one after the other.
 */
function withNamedStatements(sql: Sql): Sql {
  return new Proxy(sql, {
    get(target, name, receiver): unknown {
      if (name !== 'unsafe') return Reflect.get(target, name, receiver);
      return (text: string, values?: postgres.ParameterOrJSON<never>[]) =>
        // eslint-disable-next-line no-restricted-syntax -- drizzle built the text and bound its values
        target.unsafe(text, values, { prepare: true });
    },
  });
}

/** Opens the pools of one process. Times out statements and idle transactions as DESIGN 4 asks. */
export function openDatabase(url: string, options: { name: string; connections?: number }): Database {
  const settings = {
    max: options.connections ?? 10,
    idle_timeout: 300,
    connect_timeout: 10,
    // Asked on every new connection by a query nobody waits for: a connection that dies then would end the process.
    fetch_types: false,
    // The driver's own pause grows to 20 s, also when the server has long been back.
    backoff: (failures: number) => Math.min(2 ** failures / 100, 0.5),
    onnotice: () => undefined,
    connection: {
      application_name: options.name,
      statement_timeout: 30_000,
      lock_timeout: 10_000,
      idle_in_transaction_session_timeout: 5_000,
    },
    ...(url.includes('sslmode=') || url.includes('host=/') ? {} : { socket: openSocket }),
  };
  const records = postgres(url, settings);
  const log = postgres(url, { ...settings, max: 4 });
  return {
    db: drizzle(withNamedStatements(records), { schema }),
    log,
    async close() {
      await Promise.all([records.end({ timeout: 5 }), log.end({ timeout: 5 })]);
    },
  };
}
