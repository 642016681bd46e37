import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Stage } from '../stage.ts';

/** Bytes in the database, and in Temporal's own with what is in its write-ahead log moved into it. */
export async function storedBytes({
  database,
  dataDir,
}: Stage): Promise<{ postgres: number; temporal: number }> {
  const [row] = await database.log`select pg_database_size(current_database())::float8 as bytes`;
  return { postgres: Number(row?.bytes), temporal: temporalBytes(join(dataDir, 'temporal', 'temporal.db')) };
}

function temporalBytes(path: string): number {
  const store = new DatabaseSync(path);
  try {
    store.exec('pragma busy_timeout = 10000');
    store.prepare('pragma wal_checkpoint(truncate)').all();
  } finally {
    store.close();
  }
  return [path, `${path}-wal`].reduce(
    (sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}
