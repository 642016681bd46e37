import { migrateDatabase } from './migrate.ts';

const url = process.env.MIGRATE_DATABASE_URL ?? process.env.DATABASE_URL;
if (url === undefined || url === '') {
  console.error('Set MIGRATE_DATABASE_URL (or DATABASE_URL) to the address of the database to migrate.');
  process.exit(2);
}
try {
  const { applied } = await migrateDatabase(url);
  console.log(applied === 0 ? 'Database is up to date.' : `Applied ${applied} migration(s).`);
} catch (error) {
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
  console.error(`Migration failed: ${error instanceof Error ? error.message : String(error)}${cause}`);
  process.exit(1);
}
