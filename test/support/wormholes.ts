import {
  createWormhole,
  enableWormhole,
  getWormhole,
  type NewWormhole,
  type WormholeRow,
} from '../../db/wormholes.ts';
import { appendEvents } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import type { Delivery } from '../../domain/delivery.ts';
import type { LoggedEvent } from '../../domain/events.ts';
import type { WormholeAction } from '../../domain/wormhole.ts';
import type { Database } from '../../db/client.ts';
import { aLoggedEvent } from './events.ts';

/** A wormhole as an admin made and enabled it. */
export async function aWormhole(
  database: Database,
  owner: string,
  action: WormholeAction,
  given: Partial<NewWormhole> = {},
): Promise<WormholeRow> {
  const id = given.id ?? newId('whl');
  const { db } = database;
  await createWormhole(db, {
    name: id.replace('_', '-'),
    description: '',
    match: { types: [`shop.${id}`], minSeverity: 'info', excludeSourceTypes: [] },
    sealed: null,
    maxHops: 16,
    ...given,
    ...{ id, action, actor: owner, opKey: `create:${id}` },
  });
  await enableWormhole(db, { id, version: 1, withoutBackTest: 'test', actor: owner, opKey: `enable:${id}` });
  const row = await getWormhole(db, id);
  if (row === null) throw new Error(`no wormhole ${id}`);
  return row;
}

export function aDelivery(event: LoggedEvent, given: Partial<Delivery> = {}): Delivery {
  return { event, part: '', attempt: 1, replay: null, ...given };
}

/** An event that the log has, as a consumer sees it. */
export async function aRecordedEvent(database: Database, given: Partial<LoggedEvent>): Promise<LoggedEvent> {
  const event = aLoggedEvent(given);
  const { id, type, sourceType, sourceId, severity, payload, metadata } = event;
  await appendEvents(database.log, [
    { id, type, source: { type: sourceType, id: sourceId }, severity, payload, metadata },
  ]);
  return event;
}
