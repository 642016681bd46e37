import { z } from '@hono/zod-openapi';
import { type EventInput, eventInputSchema, maxBatch, maxPayloadBytes } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { refuse } from '../domain/refusal.ts';
import type { ApiContext } from './context.ts';
import { issuesOf } from './issues.ts';
import { ProblemError, throwRefusal } from './problems.ts';
import { jsonObject } from './schemas.ts';

// The recursive JSON type of the domain's schema has no end in a document; the parser checked the JSON already.
export const eventInput = eventInputSchema.extend({
  payload: jsonObject.default({}),
  metadata: jsonObject.default({}),
});
export const eventsInput = z.union([eventInput, z.array(eventInput).min(1).max(maxBatch)]);

/** What was sent: the events, and whether it was one or a list. */
export type Said = { inputs: EventInput[]; isOne: boolean };

/** Reads the events of a request; one that is wrong is named by its place, or by its line where they came as lines. */
export function readEvents(c: ApiContext, value: unknown): Said {
  if (!Array.isArray(value)) return { inputs: [readOne(value, (path) => path)], isOne: true };
  if (value.length === 0 || value.length > maxBatch)
    throwRefusal(
      refuse('INVALID', `body: a request takes 1 to ${maxBatch} events, this one has ${value.length}.`, {
        in: 'body',
        issues: [],
      }),
    );
  const lines = c.get('lines');
  const inputs = value.map((each: unknown, at) => {
    const line = lines?.[at];
    return line === undefined ? readOne(each, (path) => [at, ...path]) : readOne(each, (path) => path, line);
  });
  return { inputs, isOne: false };
}

type Path = (string | number)[];

function readOne(value: unknown, placeOf: (path: Path) => Path, line?: number): EventInput {
  const read = eventInput.safeParse(value);
  if (read.success) return read.data;
  const issues = issuesOf(read.error).map(({ path, message }) => ({ path: placeOf(path), message }));
  const [first] = issues;
  const place = first?.path.join('.') ?? '';
  const where = line === undefined ? place || 'body' : `line ${line}${place === '' ? '' : `, ${place}`}`;
  throwRefusal(
    refuse('INVALID', `${where}: ${first?.message ?? 'not valid'}`, {
      in: 'body',
      ...(line === undefined ? {} : { line }),
      issues,
    }),
  );
}

/** How a message names one event of several. */
export function nameEvent(
  c: ApiContext,
  said: Said,
  index: number,
): { prefix: string; details: { index: number; line?: number } } {
  const line = c.get('lines')?.[index];
  if (line !== undefined) return { prefix: `line ${line}: `, details: { index, line } };
  return { prefix: said.isOne ? '' : `event ${index}: `, details: { index } };
}

export function requireSmallPayloads(c: ApiContext, said: Said, bytes: number): void {
  // No part of a small body is large: most requests end here, with nothing made into text again.
  if (bytes <= maxPayloadBytes) return;
  const index = said.inputs.findIndex(isTooLarge);
  if (index === -1) return;
  const { prefix, details } = nameEvent(c, said, index);
  throw payloadTooLarge(prefix, details);
}

/** True for an event with a part that has more bytes than the log takes. */
export function isTooLarge({ payload, metadata = {} }: { payload: object; metadata?: object }): boolean {
  return [payload, metadata].some((part) => Buffer.byteLength(JSON.stringify(part)) > maxPayloadBytes);
}

export function payloadTooLarge(prefix = '', details: JsonObject = {}): ProblemError {
  return new ProblemError(
    'PAYLOAD_TOO_LARGE',
    `${prefix}The payload of an event may have at most ${maxPayloadBytes} bytes; put larger ones elsewhere and name them.`,
    { details: { ...details, maxBytes: maxPayloadBytes } },
  );
}

/** For the payload of a task, as it is proposed or as an approval changes it. */
export function requireSmallPayload(payload: object): void {
  if (isTooLarge({ payload }))
    throw new ProblemError('PAYLOAD_TOO_LARGE', `A payload may have at most ${maxPayloadBytes} bytes.`);
}
