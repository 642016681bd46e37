import type { TrackRecord } from '../domain/insight.ts';
import { pairOf } from '../domain/autonomy.ts';
import type { Db } from './client.ts';
import { autonomy } from './schema/index.ts';

/** What became of each action on each class of targets so far, by `action|class`. */
export async function trackRecords(db: Db): Promise<Record<string, TrackRecord>> {
  const { action, targetClass, helped, failed } = autonomy;
  const rows = await db.select({ action, targetClass, helped, failed }).from(autonomy);
  return Object.fromEntries(
    rows.map((row) => [pairOf(row.action, row.targetClass), { helped: row.helped, failed: row.failed }]),
  );
}
