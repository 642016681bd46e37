import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { ensureDatabase } from '../../db/bootstrap.ts';
import { migrateDatabase } from '../../db/migrate.ts';
import { silentLog } from '../../stack/log.ts';
import { startPostgres } from '../../stack/postgres.ts';

declare module 'vitest' {
  interface ProvidedContext {
    superuserUrl: string;
  }
}

export const templateName = 'dreamnet_template';
export const testPasswords = { ownerPassword: 'owner-of-tests', appPassword: 'app-of-tests' };

/** One Postgres for the project; its migrated template is copied for each test file. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = mkdtempSync(join(tmpdir(), 'dreamnet-test-postgres-'));
  // The database's own user passes through this folder when tests run as root.
  chmodSync(dataDir, 0o711);
  const postgres = await startPostgres({ dataDir, log: silentLog, fast: true });
  await ensureDatabase({ superuserUrl: postgres.superuserUrl, database: templateName, ...testPasswords });
  const template = new URL(postgres.superuserUrl);
  template.pathname = `/${templateName}`;
  template.username = 'dreamnet_owner';
  template.password = testPasswords.ownerPassword;
  await migrateDatabase(template.href);
  project.provide('superuserUrl', postgres.superuserUrl);
  return async () => {
    await postgres.stop();
    rmSync(dataDir, { recursive: true, force: true });
  };
}
