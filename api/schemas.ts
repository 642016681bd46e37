import { z } from '@hono/zod-openapi';
import type { JsonObject } from '../domain/json.ts';
import type { ApiDeps } from './context.ts';
import { problemCodes } from './problems.ts';

/** A JSON object from a body: the body parser has already made sure that it can be stored. */
export const jsonObject = z
  .custom<JsonObject>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), {
    error: 'expected an object',
  })
  .openapi({ type: 'object', additionalProperties: true });

/** JSON of an answer, shown as it is stored. */
export const anyObject = z.record(z.string(), z.unknown());
export const instant = z.iso.datetime();

export const idParams = z.object({
  id: z.string().regex(/^[A-Za-z0-9_.:-]{1,100}$/),
});

/** A text in a query: percent-encoding can carry a NUL, which the database cannot hold. */
export function queryText(max: number) {
  return z
    .string()
    .min(1)
    .max(max)
    .refine((text) => !text.includes('\0') && text.isWellFormed(), 'has a character that cannot be stored');
}

// Spelled out instead of \p{Cc}: the document's readers know no flags of a pattern.
export const control = '\\x00-\\x1f\\x7f-\\x9f';
const oneLine = `^[^${control}]*[^\\s${control}][^${control}]*$`;

/** One line of text for people: no control characters, not only white space. */
export function line(max: number) {
  return z.string().max(max).regex(new RegExp(oneLine), 'must be one line of text');
}

export const reason = z.string().min(1).max(2000);

export const digestSeen = z.string().regex(/^[0-9a-f]{64}$/, 'is the digest of the approval as you saw it');

export const idempotencyHeader = z.object({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/)
    .optional(),
});

export const temporalLinkSchema = z
  .object({ workflowId: z.string(), runId: z.string().nullable(), url: z.url() })
  .openapi('TemporalLink');
export type TemporalLink = z.infer<typeof temporalLinkSchema>;

/** The link that opens a run in Temporal's Web UI; without a run id it opens the newest run. */
export function temporalLink(
  deps: Pick<ApiDeps, 'uiUrl' | 'namespace'>,
  workflowId: string,
  runId: string | null,
): TemporalLink {
  const base = `${deps.uiUrl}/namespaces/${encodeURIComponent(deps.namespace)}/workflows/${encodeURIComponent(workflowId)}`;
  return { workflowId, runId, url: runId === null ? base : `${base}/${encodeURIComponent(runId)}/history` };
}

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.enum(problemCodes),
    requestId: z.string(),
    traceId: z.string(),
    details: anyObject.optional(),
  })
  .openapi('Problem');

/** An answer of a route, as its description wants it. */
export function answer<S extends z.ZodType>(description: string, schema: S) {
  return { description, content: { 'application/json': { schema } } };
}

/** An answer of JSON lines. That its content may be missing is said for the type only: such a route answers as it likes. */
export function lineAnswer(description: string): {
  description: string;
  content?: Record<string, { schema: z.ZodType }>;
} {
  return { description, content: { 'application/x-ndjson': { schema: z.string() } } };
}

/** An answer of server-sent events; its content may be missing for the same reason. */
export function streamAnswer(description: string): ReturnType<typeof lineAnswer> {
  return { description, content: { 'text/event-stream': { schema: z.string() } } };
}

/** The body of a route, as its description wants it. */
export function body<S extends z.ZodType>(schema: S) {
  return { required: true, content: { 'application/json': { schema } } };
}

/** A body that may be left out. */
export function optionalBody<S extends z.ZodType>(schema: S) {
  return { required: false, content: { 'application/json': { schema } } };
}

/** What a person asked for is stored, but no run has answered yet; it is sent again until one does. */
export const deliveringSchema = z.object({
  status: z.literal('accepted-for-delivery'),
  requestId: z.string(),
  temporal: temporalLinkSchema,
});
