import type { Database } from '../../db/client.ts';

/** The same database, with a count of the statements that drizzle sends over it. */
export function countQueries<T extends Database>(database: T): { database: T; count: () => number } {
  let sent = 0;
  const counted = new Set(['select', 'insert', 'update', 'delete', 'execute', '$count']);
  const db = new Proxy(database.db, {
    get(target, name, receiver) {
      if (typeof name === 'string' && counted.has(name)) sent += 1;
      return Reflect.get(target, name, receiver) as unknown;
    },
  });
  return { database: { ...database, db }, count: () => sent };
}
