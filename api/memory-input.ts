import { z } from '@hono/zod-openapi';
import type { MemoryHistoryRow, MemoryRow } from '../db/memory-records.ts';
import { entityKinds } from '../domain/insight.ts';
import { type Trait, traits } from '../domain/memory.ts';
import {
  isEntity,
  isTag,
  type MemoryGenes,
  maxImported,
  maxTags,
  parseDna,
  rounded,
  toDna,
} from '../domain/memory-record.ts';
import { isRefusal, refuse } from '../domain/refusal.ts';
import { throwRefusal } from './problems.ts';
import { instant, reason } from './schemas.ts';

const entity = z
  .string()
  .max(110)
  .refine(isEntity, `must be KIND:ID with a kind of ${entityKinds.join(', ')}, such as agent:agt_1`);
const tag = z.string().refine(isTag, 'must be lower-case words with - between');
const share = z.number().min(0).max(1);
const traitValues = z.partialRecord(z.enum(traits), share);

export const entityParams = z.object({ entity });
const why = reason.regex(/\S/, 'has to say why');

export const memoryFilter = {
  kind: z.enum(entityKinds).optional(),
  tag: tag.optional(),
  trait: z.enum(traits).optional(),
  min: z.coerce.number().min(0).max(1).optional(),
  max: z.coerce.number().min(0).max(1).optional(),
};

/** A range says of which trait it is. */
export function checkRange({
  trait,
  min,
  max,
}: {
  trait?: Trait | undefined;
  min?: number | undefined;
  max?: number | undefined;
}): void {
  if (trait === undefined && (min !== undefined || max !== undefined))
    throwRefusal(
      refuse('INVALID', `min, max: name the trait they are of. Allowed: trait=${traits.join(', ')}.`),
    );
  if (min !== undefined && max !== undefined && min > max)
    throwRefusal(refuse('INVALID', `min: ${min} is above max, ${max}; nothing lies between.`));
}

export const tagsInput = z.strictObject({ tags: z.array(tag).max(maxTags) });
export const inheritInput = z.strictObject({ from: entity, reason: why });

const genesInput = z.strictObject({
  entity,
  traits: traitValues,
  tags: z.array(tag).max(maxTags).default([]),
  parent: entity.nullable().default(null),
});
export const importInput = z.strictObject({
  /** As an export has them, or as trait strings. */
  records: z
    .array(z.union([genesInput, z.string().max(2000)]))
    .min(1)
    .max(maxImported),
  replace: z.boolean().default(false),
  reason: why,
});

/** The records of an import; trait strings among them are read. */
export function readRecords(records: z.infer<typeof importInput>['records']): MemoryGenes[] {
  return records.map((record, index) => {
    if (typeof record !== 'string') return record;
    const genes = parseDna(record);
    if (isRefusal(genes)) throwRefusal({ ...genes, message: `records.${index}: ${genes.message}` });
    return genes;
  });
}

export const genesSchema = z
  .object({
    entity: z.string(),
    traits: traitValues,
    tags: z.array(z.string()),
    parent: z.string().nullable(),
  })
  .openapi('MemoryGenes');

export const memorySchema = z
  .object({
    ...genesSchema.shape,
    kind: z.enum(entityKinds),
    dna: z.string(),
    createdAt: instant,
    updatedAt: instant,
  })
  .openapi('MemoryRecord');

export const historySchema = z
  .object({
    at: instant,
    cause: z.string(),
    eventId: z.string().nullable(),
    moves: z.record(z.string(), z.object({ from: z.number(), to: z.number() })),
  })
  .openapi('MemoryHistory');

export function genesOf({ entity: of, traits: values, tags, parent }: MemoryRow): MemoryGenes {
  const entries = Object.entries(values).map(([trait, value]) => [trait, rounded(value)] as const);
  return { entity: of, traits: Object.fromEntries(entries), tags, parent };
}

export function memoryView(row: MemoryRow): z.infer<typeof memorySchema> {
  const genes = genesOf(row);
  return {
    ...genes,
    kind: row.kind,
    dna: toDna(genes),
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

export function historyView({ at, cause, eventId, moves }: MemoryHistoryRow): z.infer<typeof historySchema> {
  const told = Object.entries(moves).map(
    ([trait, { from, to }]) => [trait, { from: rounded(from), to: rounded(to) }] as const,
  );
  return { at: at.toISOString(), cause, eventId, moves: Object.fromEntries(told) };
}
