import { createRoute, z } from '@hono/zod-openapi';
import { findAgentByPrincipal } from '../../db/agents.ts';
import { appendEvents, type AppendedEvent, type StatedEvent } from '../../db/events.ts';
import type { Principal } from '../../domain/access.ts';
import { planDelivery, refuseSpeech, type SpeakerFacts } from '../../domain/event-source.ts';
import { isAtLeast } from '../../domain/events.ts';
import { isRefusal, type Refusal } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import { maxBatchBytes } from '../body.ts';
import type { Chain } from '../chain.ts';
import type { Api, ApiContext, ApiDeps } from '../context.ts';
import { eventsInput, nameEvent, readEvents, requireSmallPayloads, type Said } from '../event-input.ts';
import type { EventSchemas } from '../event-schemas.ts';
import { createEventWriter } from '../event-writer.ts';
import { spend } from '../middleware/tier.ts';
import { requireReach } from '../object-scope.ts';
import { throwRefusal } from '../problems.ts';
import { answer } from '../schemas.ts';

const stored = z.object({
  id: z.string(),
  duplicate: z.boolean(),
  differs: z.literal(true).optional().openapi({
    description: 'The log has this id with another content, which was left as it was.',
  }),
});

const append = createRoute({
  method: 'post',
  path: '/v1/events',
  tags: ['events'],
  summary: 'Appends one event, or up to 1,000 as an array or as JSON lines; answers after the commit',
  ...guard('events:write', { maxBytes: maxBatchBytes, takesLines: true }),
  request: {
    body: {
      required: true,
      content: {
        'application/json': { schema: eventsInput },
        'application/x-ndjson': {
          schema: z.string().openapi({ description: 'One event on each line; all are stored or none.' }),
        },
      },
    },
  },
  responses: {
    202: answer(
      'Stored. An id that the log already has is left as it is and marked.',
      z.union([stored, z.object({ accepted: z.array(stored) })]),
    ),
  },
});

export function addEventIngestRoute(
  app: Api,
  deps: ApiDeps,
  { chain, schemas }: { chain: Chain; schemas: EventSchemas },
): void {
  const { db, log } = deps.database;
  const appendOne = createEventWriter((inputs) => appendEvents(log, inputs));

  async function speakerOf({ id, kind, role, name }: Principal): Promise<SpeakerFacts> {
    const isAgent = kind === 'agent' || role === 'agent';
    if (!isAgent) return { kind, name, agentId: null };
    return { kind: 'agent', name, agentId: (await findAgentByPrincipal(db, id))?.id ?? null };
  }

  /** The events as they will be stored, each of which its sender may state. */
  async function accept(c: ApiContext, said: Said): Promise<StatedEvent[]> {
    const principal = c.get('principal');
    const [speaker, judge] = await Promise.all([speakerOf(principal), schemas.judge()]);
    return said.inputs.map((input, index) => {
      requireReach(principal, 'events:write', `${input.source.type}:${input.source.id}`);
      const refusal = refuseSpeech(speaker, input);
      if (refusal !== null) throwRefusal(named(c, said, index, refusal));
      const deliverAt = planDelivery(input.deliverAt, deps.now());
      if (isRefusal(deliverAt)) throwRefusal(named(c, said, index, deliverAt));
      const judged = judge(input.deliverAt === undefined ? input : { ...input, deliverAt });
      return isRefusal(judged) ? throwRefusal(named(c, said, index, judged)) : judged;
    });
  }

  /** Errors that the log did not have yet count towards HALO's next look; its own never do (K7). */
  function count(inputs: StatedEvent[], accepted: AppendedEvent[]): void {
    const isError = ({ severity, source }: StatedEvent, at: number): boolean =>
      source.type !== 'halo' && isAtLeast(severity, 'error') && accepted[at]?.duplicate === false;
    deps.haloCounts.add('errors', inputs.filter(isError).length);
  }

  // Not `app.openapi`: its check of the body against the union of both forms costs as much as the rest of a request.
  const { middleware, ...described } = append;
  app.openAPIRegistry.registerPath(described);
  app.post(append.path, ...middleware, async (c) => {
    const said = readEvents(c, await c.req.json<unknown>());
    const bytes = (await c.req.arrayBuffer()).byteLength;
    requireSmallPayloads(c, said, bytes);
    const inputs = await accept(c, said);
    await spend(c, chain, { events: inputs.length, bytes });
    const [only] = inputs;
    if (said.isOne && only !== undefined) {
      const stored = await appendOne(only);
      count(inputs, [stored]);
      return c.json(stored, 202);
    }
    const accepted = await appendEvents(log, inputs);
    count(inputs, accepted);
    return c.json({ accepted }, 202);
  });
}

function named(c: ApiContext, said: Said, index: number, refusal: Refusal): Refusal {
  const { prefix, details } = nameEvent(c, said, index);
  return {
    ...refusal,
    message: prefix + refusal.message,
    details: { ...refusal.details, ...(said.isOne ? {} : details) },
  };
}
