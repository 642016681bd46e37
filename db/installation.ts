import { sql } from 'drizzle-orm';
import { installationPlace } from '../domain/bridge.ts';
import type { Db } from './client.ts';

export type Installation = {
  /** What this installation calls itself in the path of an event. */
  place(): Promise<string>;
};

/** The hash of the first entry of the audit names this installation for good; read once. */
export function createInstallation(db: Db): Installation {
  let known: string | null = null;

  async function read(): Promise<string> {
    const [row] = await db.execute<{ hash: string | null }>(sql`
      select coalesce((select a.installation from audit_anchors a order by a.chain_no limit 1),
                      (select e.hash from audit_entries e where e.chain_no = 1)) as hash`);
    if (typeof row?.hash !== 'string')
      throw new Error('the audit is empty, so this installation has no name yet');
    return installationPlace(row.hash);
  }

  return {
    async place() {
      known ??= await read();
      return known;
    },
  };
}
