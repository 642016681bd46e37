import { readFileSync } from 'node:fs';
import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate } from 'drizzle-orm/postgres-js/migrator';
import postgres from 'postgres';
import { DomainError, refuse } from '../domain/refusal.ts';
import { sql as query } from 'drizzle-orm';
import type { Db } from './client.ts';

const folder = new URL('./migrations', import.meta.url).pathname;

type Journal = { entries: { when: number; tag: string }[] };

function journal(): Journal['entries'] {
  const text = readFileSync(`${folder}/meta/_journal.json`, 'utf8');
  return (JSON.parse(text) as Journal).entries;
}

/**
 * Brings the database up to this release. One migration runs at a time (advisory lock); a database that is already
 * newer than this release is refused and left as it is.
 */
export async function migrateDatabase(url: string): Promise<{ applied: number }> {
  const sql = postgres(url, {
    max: 1,
    connect_timeout: 10,
    onnotice: () => undefined,
    connection: { application_name: 'dreamnet-migrate', statement_timeout: 0, transaction_timeout: 0 },
  });
  try {
    await sql`select pg_advisory_lock(hashtext('dreamnet.migrate'))`;
    const before = await appliedAt(drizzle(sql) as unknown as Db);
    refuseNewerSchema(before);
    await migrate(drizzle(sql), { migrationsFolder: folder });
    const after = await appliedAt(drizzle(sql) as unknown as Db);
    return { applied: after.length - before.length };
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function appliedAt(db: Db): Promise<number[]> {
  const known = await db.execute(
    query`select to_regclass('drizzle.__drizzle_migrations') is not null as present`,
  );
  if (known[0]?.present !== true) return [];
  const rows = await db.execute(
    query`select created_at from drizzle.__drizzle_migrations order by created_at`,
  );
  return rows.map((row) => Number(row.created_at));
}

function refuseNewerSchema(applied: number[]): void {
  const newest = journal().at(-1)?.when ?? 0;
  if (applied.some((when) => when > newest))
    throw new DomainError(
      refuse(
        'CONFLICT',
        'The database was migrated by a newer release of DreamNet than this one. Start that release, or restore a backup taken before it.',
      ),
    );
}

/** Refuses to work on a database that is older or newer than this release. */
export async function requireCurrentSchema(db: Db): Promise<void> {
  const applied = await appliedAt(db);
  refuseNewerSchema(applied);
  const missing = journal().filter((entry) => !applied.includes(entry.when));
  if (missing.length > 0)
    throw new DomainError(
      refuse(
        'CONFLICT',
        `The database lacks ${missing.length} migration(s): ${missing.map((entry) => entry.tag).join(', ')}. Run \`npm run migrate\` with MIGRATE_DATABASE_URL set to the owner's address.`,
      ),
    );
}
