import { randomUUID } from 'node:crypto';
import { defaultPriority, type LoggedEvent } from '../../domain/events.ts';

/** An event as a consumer sees it. */
export function aLoggedEvent(given: Partial<LoggedEvent> = {}): LoggedEvent {
  const severity = given.severity ?? 'info';
  return {
    id: `evt_${randomUUID()}`,
    tx: '1',
    seq: '1',
    type: 'shop.order.failed',
    sourceType: 'api',
    sourceId: 'shop',
    destination: null,
    severity,
    priority: defaultPriority(severity),
    payload: {},
    metadata: {},
    correlationId: null,
    causationId: null,
    path: [],
    occurredAt: '2026-01-01T00:00:00.000Z',
    recordedAt: '2026-01-01T00:00:00.000Z',
    deliverAt: null,
    ...given,
  };
}
