import { z } from '@hono/zod-openapi';
import type { EventSchemaRow } from '../db/event-schemas.ts';
import { compileSchema, maxSchemaBytes, type SchemaCheck } from '../domain/event-schema.ts';
import { schemaModes } from '../domain/event-schema-mode.ts';
import { isOpenType } from '../domain/event-source.ts';
import { eventType } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { isRefusal, refuse } from '../domain/refusal.ts';
import { eventInput } from './event-input.ts';
import { ProblemError, throwRefusal } from './problems.ts';
import { anyObject, instant, jsonObject } from './schemas.ts';

const version = z.number().int().min(1).max(1_000_000);

export const schemaInput = z.strictObject({
  type: eventType,
  schema: jsonObject.openapi({ description: 'JSON Schema 2020-12 of the payload, at most 64 KiB.' }),
  mode: z.enum(schemaModes).default('enforce'),
  description: z.string().max(500).default(''),
  enabled: z.boolean().default(true),
});

export const schemaEdit = z.strictObject({
  version,
  mode: z.enum(schemaModes).optional(),
  enabled: z.boolean().optional(),
});

export const checkInput = z.strictObject({ schema: jsonObject, event: eventInput });

export const backTestInput = z.strictObject({
  type: eventType,
  schema: jsonObject,
  last: z.number().int().min(1).max(5_000).default(1_000),
});

const problem = z.object({ path: z.string(), message: z.string() });

export const checkResult = z.object({ valid: z.boolean(), problem: problem.nullable() });

export const backTestResult = z.object({
  type: z.string(),
  looked: z.number().int(),
  valid: z.number().int(),
  invalid: z.number().int(),
  examples: z.array(problem.extend({ eventId: z.string() })),
});

export const schemaView = z
  .object({
    type: z.string(),
    version: z.number().int(),
    description: z.string(),
    mode: z.enum(schemaModes),
    enabled: z.boolean(),
    owner: z.string(),
    schema: anyObject,
    createdAt: instant,
    updatedAt: instant,
  })
  .openapi('EventSchema');

export const versionsView = z.object({
  type: z.string(),
  inForce: schemaView.nullable(),
  versions: z.array(schemaView.omit({ schema: true })),
});

export function viewSchema(row: EventSchemaRow): z.infer<typeof schemaView> {
  const { createdAt, updatedAt, ...rest } = row;
  return { ...rest, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() };
}

export function viewVersions(type: string, rows: EventSchemaRow[]): z.infer<typeof versionsView> {
  const inForce = rows.find(({ enabled }) => enabled);
  return {
    type,
    inForce: inForce === undefined ? null : viewSchema(inForce),
    versions: rows.map((row) => {
      const { schema: _schema, ...view } = viewSchema(row);
      return view;
    }),
  };
}

/** The check that a schema stands for; one that is too large or that cannot be run is refused. */
export function requireSchema(schema: JsonObject): SchemaCheck {
  const bytes = Buffer.byteLength(JSON.stringify(schema));
  if (bytes > maxSchemaBytes)
    throw new ProblemError('PAYLOAD_TOO_LARGE', `A schema may have at most ${maxSchemaBytes} bytes.`, {
      details: { maxBytes: maxSchemaBytes },
    });
  const check = compileSchema(schema);
  return isRefusal(check) ? throwRefusal(check) : check;
}

/** A type that only this system says is never posted, so a schema of it would never be asked. */
export function requirePostedType(type: string): void {
  if (!isOpenType(type))
    throwRefusal(
      refuse(
        'INVALID',
        `type: events of the type ${type} come from the system itself and are not checked; a schema is for types that are posted.`,
      ),
    );
}
