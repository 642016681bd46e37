import { or, sql, type SQL } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';

/** Only rows whose target lies in one of the scopes; null means that there is no such condition. */
export function withinScopes(target: PgColumn | SQL, scopes: readonly string[] | null): SQL | undefined {
  if (scopes === null) return undefined;
  const parts = scopes.map((scope) =>
    scope.endsWith('*') ? sql`starts_with(${target}, ${scope.slice(0, -1)})` : sql`${target} = ${scope}`,
  );
  return parts.length === 0 ? sql`false` : or(...parts);
}
