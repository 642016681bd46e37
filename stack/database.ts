import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { ensureDatabase } from '../db/bootstrap.ts';
import { readOrCreatePrivate } from './files.ts';

export type DatabaseUrls = { migrateUrl: string; databaseUrl: string };

export type DatabaseInput = { superuserUrl: string; dataDir: string; database?: string };

/** Makes sure that the database and its two roles are there: the owner migrates, the application only works. */
export async function prepareDatabase({
  superuserUrl,
  dataDir,
  database = 'dreamnet',
}: DatabaseInput): Promise<DatabaseUrls> {
  const readPassword = (role: string): string =>
    readOrCreatePrivate(join(dataDir, `postgres-${role}`), () => `${randomBytes(24).toString('hex')}\n`);
  const ownerPassword = readPassword('owner');
  const appPassword = readPassword('app');
  await ensureDatabase({ superuserUrl, database, ownerPassword, appPassword });
  return {
    migrateUrl: urlFor(superuserUrl, 'dreamnet_owner', ownerPassword, database),
    databaseUrl: urlFor(superuserUrl, 'dreamnet_app', appPassword, database),
  };
}

function urlFor(superuserUrl: string, user: string, password: string, database: string): string {
  const url = new URL(superuserUrl);
  url.username = user;
  url.password = password;
  url.pathname = `/${database}`;
  return url.href;
}
