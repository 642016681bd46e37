import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { RE2JS } from 're2js';
import { isDeeperThan, type Json, type JsonObject } from './json.ts';
import { refuse, type Refusal } from './refusal.ts';

export const maxSchemaBytes = 64 * 1024;
const maxSchemaDepth = 32;
/** Steps that checking one value may take: the places of the schema, with every $ref written out. */
const maxCost = 2_000;
const maxUniqueItems = 1_000;

export type SchemaProblem = {
  /** Where in the event: `payload.order.lines.0`. */
  path: string;
  message: string;
};
/** Says what is wrong with a payload; null for nothing. */
export type SchemaCheck = (payload: JsonObject) => SchemaProblem | null;

/**
 * Makes a check out of a JSON Schema 2020-12 for the payload of an event. A schema that could take long on some payload
 * is refused here, since it runs where everybody waits: no $ref to elsewhere or in a circle, a bounded number of
 * places, regular expressions in linear time, uniqueItems with a small maxItems only.
 */
export function compileSchema(schema: JsonObject): SchemaCheck | Refusal {
  if (isDeeperThan(schema, maxSchemaDepth))
    return refuse('INVALID', `schema: is nested deeper than ${maxSchemaDepth} levels.`);
  try {
    const cost = costOf(schema);
    if (cost > maxCost)
      return refuse(
        'INVALID',
        `schema: has ${cost} places to check with every $ref written out (a pattern counts for its length and its repetitions); at most ${maxCost}.`,
      );
    const validate = newValidator().compile(schema);
    return (payload) => (validate(payload) ? null : describe(validate.errors?.[0]));
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'cannot be read';
    return refuse('INVALID', `schema: ${reason}`);
  }
}

function newValidator(): Ajv2020 {
  return new Ajv2020({
    strict: true,
    strictRequired: false,
    strictTypes: false,
    strictTuples: false,
    allowUnionTypes: true,
    // The first problem ends a check: what guards a costly keyword beside it has then been asked before.
    allErrors: false,
    validateFormats: false,
    ownProperties: true,
    logger: false,
    code: { regExp: linearRegExp },
  });
}

/** Regular expressions that take linear time on any text; look-around and back references do not exist in them. */
const linearRegExp = Object.assign(
  (pattern: string) => {
    const compiled = RE2JS.compile(RE2JS.translateRegExp(pattern));
    return {
      test: (text: string): boolean => compiled.matcher(text).find(),
      // The validator tells expressions apart by this text.
      toString: (): string => `re2:${pattern}`,
    };
  },
  { code: 'linearRegExp' },
);

function describe(error: ErrorObject | undefined): SchemaProblem {
  const parts = (error?.instancePath ?? '').split('/').slice(1);
  const names = parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const extra: unknown = error?.params.additionalProperty ?? error?.params.unevaluatedProperty;
  const allowed: unknown = error?.params.allowedValues ?? error?.params.allowedValue;
  const more =
    typeof extra === 'string' ? `: ${extra}` : allowed === undefined ? '' : `: ${JSON.stringify(allowed)}`;
  return {
    path: ['payload', ...names].join('.').slice(0, 300),
    message: `${error?.message ?? 'does not fit'}${more}`.slice(0, 300),
  };
}

/** Keywords whose members are named by the author; each value is a schema. */
const maps = ['properties', 'patternProperties', 'dependentSchemas'];
const definitions = ['$defs', 'definitions'];
/** Keywords whose values are data, not schemas. */
const data = ['default', 'examples', 'required', 'dependentRequired', 'title', 'description', '$comment'];
const refused: Record<string, string> = {
  $dynamicRef: 'a reference whose aim is known only while it runs',
  $dynamicAnchor: 'an aim of such references',
  $recursiveRef: 'a keyword of an older draft',
  $recursiveAnchor: 'a keyword of an older draft',
  $anchor: 'a name for a place; use "#/$defs/NAME"',
  $async: 'a check that is not answered at once',
};

class SchemaError extends Error {}

function costOf(root: JsonObject): number {
  const known = new Map<string, number>();
  const open = new Set<string>();

  function aim(reference: string): number {
    if (reference !== '#' && !reference.startsWith('#/'))
      throw new SchemaError(`$ref "${reference}" leads elsewhere; allowed: "#/$defs/NAME".`);
    const seen = known.get(reference);
    if (seen !== undefined) return seen;
    if (open.has(reference) || reference === '#')
      throw new SchemaError(`$ref "${reference}" leads in a circle; spell out as many levels as there are.`);
    open.add(reference);
    const cost = visit(placeAt(root, reference), false);
    open.delete(reference);
    known.set(reference, cost);
    return cost;
  }

  function visit(node: Json | undefined, isRoot: boolean): number {
    if (Array.isArray(node)) return sum(node.map((each) => visit(each, false)));
    if (typeof node !== 'object' || node === null) return 1;
    requireBounded(node, isRoot);
    return 1 + sum(Object.entries(node).map(([key, value]) => costOfMember(key, value)));
  }

  function costOfMember(key: string, value: Json): number {
    if (key === '$ref') return typeof value === 'string' ? aim(value) : 1;
    if (data.includes(key) || definitions.includes(key)) return 0;
    if (key === 'enum' || key === 'const') return countValues(value);
    if (key === 'pattern') return typeof value === 'string' ? costOfPattern(value) : 1;
    if (!maps.includes(key) || typeof value !== 'object' || value === null) return visit(value, false);
    const names = key === 'patternProperties' ? sum(Object.keys(value).map(costOfPattern)) : 0;
    return names + sum(Object.values(value).map((each: Json) => visit(each, false)));
  }

  const cost = visit(root, true);
  // What nothing refers to has to be sound as well: a later version may refer to it.
  for (const keyword of definitions) {
    const named = root[keyword];
    if (typeof named === 'object' && named !== null)
      for (const name of Object.keys(named))
        aim(`#/${keyword}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`);
  }
  return cost;
}

function requireBounded(node: JsonObject, isRoot: boolean): void {
  for (const [key, why] of Object.entries(refused))
    if (Object.hasOwn(node, key)) throw new SchemaError(`${key} is not taken here: ${why}.`);
  if (!isRoot && Object.hasOwn(node, '$id')) throw new SchemaError('$id is for the whole schema only.');
  const { uniqueItems, maxItems } = node;
  if (uniqueItems === true && !(typeof maxItems === 'number' && maxItems <= maxUniqueItems))
    throw new SchemaError(
      `uniqueItems compares each with each; set maxItems to ${maxUniqueItems} or less beside it.`,
    );
}

/** Length, and as much again as its repetitions make of it. */
function costOfPattern(pattern: string): number {
  const repeats = [...pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)];
  return (
    pattern.length + sum(repeats.map(([, least = '0', most = '']) => Math.max(Number(least), Number(most))))
  );
}

function placeAt(root: Json, reference: string): Json | undefined {
  let at: Json | undefined = root;
  for (const part of reference.split('/').slice(1)) {
    const name = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(at)) at = at[Number(name)];
    else at = typeof at === 'object' && at !== null && Object.hasOwn(at, name) ? at[name] : undefined;
  }
  if (at === undefined) throw new SchemaError(`$ref "${reference}" leads nowhere.`);
  return at;
}

function countValues(value: Json): number {
  if (typeof value !== 'object' || value === null) return 1;
  return 1 + sum(Object.values(value).map(countValues));
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
