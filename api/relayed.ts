import { z } from '@hono/zod-openapi';
import type { StatedEvent } from '../db/events.ts';
import { arriveAt } from '../domain/bridge.ts';
import { isOpenType } from '../domain/event-source.ts';
import { eventType, priorities, severities } from '../domain/events.ts';
import type { HookRules } from '../domain/hook.ts';
import type { JsonObject } from '../domain/json.ts';
import { isRefusal, refuse } from '../domain/refusal.ts';
import { issuesOf } from './issues.ts';
import { throwRefusal } from './problems.ts';
import { jsonObject } from './schemas.ts';

const text = z.string().min(1).max(200);

/** An event of another DreamNet, as its webhooks carry it; what only the other side needs is left out. */
const relayedSchema = z.object({
  id: text,
  type: eventType,
  severity: z.enum(severities),
  priority: z.enum(priorities).optional(),
  payload: jsonObject,
  metadata: jsonObject.default({}),
  correlationId: text.nullish(),
  path: z.array(text).max(100).optional(),
  occurredAt: z.iso.datetime({ offset: true }).optional(),
});

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The event that another DreamNet relays; it may lie in `data`, as Standard Webhooks propose. Refuses one that was here. */
export function readRelayed(
  hook: HookRules,
  message: { messageId: string; body: JsonObject; pathHeader: string | undefined },
  here: string,
): StatedEvent {
  const { messageId, body } = message;
  const inner = isObject(body.data) && !('payload' in body) ? body.data : body;
  const read = relayedSchema.safeParse(inner);
  if (!read.success) {
    const issues = issuesOf(read.error);
    const [first] = issues;
    const where = first === undefined || first.path.length === 0 ? 'body' : first.path.join('.');
    return throwRefusal(
      refuse(
        'INVALID',
        `${where}: ${first?.message ?? 'not valid'} (this hook takes events of another DreamNet).`,
        {
          issues,
        },
      ),
    );
  }
  const { id, correlationId, path: before, priority, occurredAt, ...event } = read.data;
  const path = arriveAt(before ?? pathIn(message.pathHeader), here);
  if (isRefusal(path)) return throwRefusal(path);
  return {
    ...event,
    source: { type: 'api', id: `hook:${hook.name}` },
    // What this system may say alone is not said by another one: it stands behind the type of the hook.
    type: isOpenType(event.type) ? event.type : prefixed(hook.eventType, event.type),
    metadata: { ...event.metadata, hook: { id: hook.id, messageId, relayed: id } },
    path,
    ...(priority === undefined ? {} : { priority }),
    ...(occurredAt === undefined ? {} : { occurredAt }),
    ...(typeof correlationId === 'string' ? { correlationId } : {}),
  };
}

function prefixed(base: string, type: string): string {
  const whole = `${base}.${type}`;
  return whole.length <= 120 ? whole : base;
}

/** The envelope of a webhook says the path in a header; a part that cannot be read is kept as it stands. */
function pathIn(header: string | undefined): string[] {
  const parts = (header ?? '').split(',').filter((part) => part !== '');
  return parts.map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
}
