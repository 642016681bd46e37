import type { Table } from 'drizzle-orm';
import type { Database } from '../../db/client.ts';

type Selecting = { from: (table: Table) => unknown };

/** The same database, with a count of the statements that drizzle sends over it: all of them, or those about a table. */
export function countQueries<T extends Database>(
  database: T,
  about?: Table,
): { database: T; count: () => number } {
  let sent = 0;
  const note = (table: unknown): void => {
    if (about === undefined || table === about) sent += 1;
  };
  const select = (...fields: []): Selecting => {
    const builder = database.db.select(...fields) as unknown as Selecting;
    return new Proxy(builder, {
      get: (target, name, receiver) =>
        name === 'from'
          ? (table: Table) => {
              note(table);
              return target.from(table);
            }
          : (Reflect.get(target, name, receiver) as unknown),
    });
  };
  const writes = new Set(['insert', 'update', 'delete', '$count']);
  const db = new Proxy(database.db, {
    get(target, name, receiver) {
      if (name === 'select') return select;
      const value = Reflect.get(target, name, receiver) as unknown;
      if (name === 'execute') note(undefined);
      if (typeof name !== 'string' || !writes.has(name) || typeof value !== 'function') return value;
      return (table: Table, ...rest: unknown[]): unknown => {
        note(table);
        return Reflect.apply(value, target, [table, ...rest]);
      };
    },
  });
  return { database: { ...database, db }, count: () => sent };
}
