import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepareDatabase, type DatabaseUrls } from '../../stack/database.ts';
import type { Stage } from '../stage.ts';

/** A database of its own on the server that the product runs on, so that nobody's rows or consumers are in the way. */
export async function ownDatabase({ stack, dataDir }: Stage, database: string): Promise<DatabaseUrls> {
  const superuser = new URL(stack.databaseUrl);
  superuser.username = 'postgres';
  superuser.password = readFileSync(join(dataDir, 'postgres-superuser'), 'utf8').trim();
  superuser.pathname = '/postgres';
  return prepareDatabase({ superuserUrl: superuser.href, dataDir, database });
}
