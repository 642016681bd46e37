import { type EntityKind, entityKinds } from './insight.ts';
import { refuse, type Refusal } from './refusal.ts';

/** A record as it is exported and imported: without its history, whose causes are events of one installation. */
export type MemoryGenes = {
  entity: string;
  traits: Record<string, number>;
  tags: string[];
  parent: string | null;
};

/** A child begins with this share of each trait of its parent (LEDGER 1.2). */
export const inheritedShare = 0.9;
export const inheritedTag = 'inherited';

export const maxTags = 20;
export const maxImported = 1000;

const entityPattern = /^([a-z]+):[A-Za-z0-9_.:-]{1,100}$/;
const tagPattern = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;

/** An entity is one of the kinds that are remembered and an id of letters, digits and `_.:-`. */
export function isEntity(text: string): boolean {
  const kind = entityPattern.exec(text)?.[1];
  return (entityKinds as readonly (string | undefined)[]).includes(kind);
}

/** The kind in front of the id. */
export function kindOf(entity: string): EntityKind {
  const kind = entityKinds.find((one) => entity.startsWith(`${one}:`));
  if (kind === undefined) throw new Error(`${entity} is no entity`);
  return kind;
}

/** A tag is lower-case words with `-` between, at most 40 characters. */
export function isTag(text: string): boolean {
  return text.length <= 40 && tagPattern.test(text);
}

/** Tags are a set: each once, in order of the alphabet. */
export function tidyTags(tags: readonly string[]): string[] {
  return [...new Set(tags)].sort();
}

/** Only the same kind inherits, and only from another: traits of one kind mean nothing for the next. */
export function refuseInheritance(child: string, parent: string): Refusal | null {
  if (child === parent) return refuse('INVALID', `from: ${child} cannot inherit from itself.`);
  if (kindOf(child) === kindOf(parent)) return null;
  return refuse(
    'INVALID',
    `from: ${parent} is not of the kind ${kindOf(child)}; name another ${kindOf(child)}.`,
  );
}

const head = 'dna1';

/** One record as one line: `dna1;agent:a;reliability=0.62,velocity=0.5;tag,other;agent:parent`. */
export function toDna({ entity, traits, tags, parent }: MemoryGenes): string {
  const values = Object.entries(traits)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([trait, value]) => `${trait}=${rounded(value)}`);
  return [head, entity, values.join(','), tags.join(','), parent ?? ''].join(';');
}

/** Reads the line that `toDna` writes; anything else is refused with the part that is wrong. */
export function parseDna(text: string): MemoryGenes | Refusal {
  const [version, entity = '', values = '', tags = '', parent, ...more] = text.split(';');
  const wrong = (what: string) =>
    refuse(
      'INVALID',
      `This is no trait string: ${what}. Write ${head};KIND:ID;TRAIT=0.5,...;TAG,...;PARENT.`,
    );
  if (version !== head || parent === undefined || more.length > 0)
    return wrong(`it has to begin with ${head} and have five parts`);
  const traits: Record<string, number> = {};
  for (const part of values === '' ? [] : values.split(',')) {
    const [, trait = '', value = ''] = /^([a-z]+)=([01](?:\.\d{1,17})?)$/.exec(part) ?? [];
    if (trait === '') return wrong(`"${part.slice(0, 40)}" is not TRAIT=VALUE with a value of 0 to 1`);
    if (Object.hasOwn(traits, trait)) return wrong(`${trait} is there twice`);
    traits[trait] = Number(value);
  }
  return { entity, traits, tags: tags === '' ? [] : tags.split(','), parent: parent === '' ? null : parent };
}

/** Six places are kept of a value that leaves: more would only tell how the arithmetic went. */
export function rounded(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}

export type ImportPlan = { created: string[]; replaced: string[]; same: string[]; conflicts: string[] };

/** What an import would do: a record that is there and differs is a conflict, unless it may be replaced. */
export function planImport(
  records: readonly MemoryGenes[],
  existing: readonly MemoryGenes[],
  replace: boolean,
): ImportPlan {
  const present = new Map(existing.map((record) => [record.entity, toDna(record)]));
  const plan: ImportPlan = { created: [], replaced: [], same: [], conflicts: [] };
  for (const record of records) {
    const dna = present.get(record.entity);
    if (dna === undefined) plan.created.push(record.entity);
    else if (dna === toDna(record)) plan.same.push(record.entity);
    else (replace ? plan.replaced : plan.conflicts).push(record.entity);
  }
  return plan;
}

/** Every record of an import is looked at before any is written; the first that is wrong refuses them all. */
export function refuseRecords(records: readonly MemoryGenes[], known: readonly string[]): Refusal | null {
  const seen = new Set<string>();
  for (const [index, record] of records.entries()) {
    const at = `records.${index}`;
    const { entity, traits, tags, parent } = record;
    if (!isEntity(entity))
      return refuse('INVALID', `${at}.entity: has to be KIND:ID with a kind of ${entityKinds.join(', ')}.`);
    if (seen.has(entity)) return refuse('INVALID', `${at}: there are two of ${entity}; one has to go.`);
    seen.add(entity);
    for (const [trait, value] of Object.entries(traits)) {
      if (!known.includes(trait))
        return refuse('INVALID', `${at}.traits: ${trait} is none. Allowed: ${known.join(', ')}.`);
      if (!(value >= 0 && value <= 1))
        return refuse('INVALID', `${at}.traits.${trait}: ${value} is not between 0 and 1.`);
    }
    if (tags.length > maxTags || !tags.every(isTag))
      return refuse('INVALID', `${at}.tags: at most ${maxTags}, each lower-case words with - between.`);
    if (parent !== null && !isEntity(parent))
      return refuse('INVALID', `${at}.parent: ${parent} is no entity; leave it out or name one.`);
  }
  return null;
}
