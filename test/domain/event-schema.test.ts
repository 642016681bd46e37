import { describe, expect, test } from 'vitest';
import { compileSchema, type SchemaCheck } from '../../domain/event-schema.ts';
import type { JsonObject } from '../../domain/json.ts';
import { isRefusal } from '../../domain/refusal.ts';

function checkOf(schema: JsonObject): SchemaCheck {
  const check = compileSchema(schema);
  if (isRefusal(check)) throw new Error(check.message);
  return check;
}

const order: JsonObject = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    order: { type: 'integer', minimum: 1 },
    customer: { type: 'string', pattern: '^c-[0-9]+$' },
    lines: { type: 'array', items: { $ref: '#/$defs/line' }, maxItems: 100, uniqueItems: true },
    state: { enum: ['open', 'paid'] },
  },
  required: ['order'],
  additionalProperties: false,
  $defs: { line: { type: 'object', properties: { 'sku/x': { type: 'string', pattern: '^[a-z]' } } } },
};

describe('a payload', () => {
  test.each<[JsonObject, string | null, RegExp]>([
    [{ order: 7 }, null, /^/],
    [{ order: 7, customer: 'c-1', lines: [{ 'sku/x': 'a' }], state: 'open' }, null, /^/],
    [{}, 'payload', /required property 'order'/],
    [{ order: '7' }, 'payload.order', /must be integer/],
    [{ order: 0 }, 'payload.order', />= 1/],
    [{ order: 7, customer: 'x' }, 'payload.customer', /pattern/],
    [{ order: 7, lines: [{ 'sku/x': 'A' }] }, 'payload.lines.0.sku/x', /pattern/],
    [{ order: 7, lines: [{}, {}] }, 'payload.lines', /duplicate/],
    [{ order: 7, state: 'lost' }, 'payload.state', /open/],
    [{ order: 7, colour: 1 }, 'payload', /colour/],
  ])('%j is wrong at %s', (payload, path, message) => {
    const problem = checkOf(order)(payload);
    expect(problem?.path ?? null).toBe(path);
    expect(problem?.message ?? '').toMatch(message);
  });

  test('with a name that every object inherits is not taken for one that is there', () => {
    expect(checkOf({ type: 'object', required: ['constructor'] })({})).not.toBeNull();
  });
});

const bomb = (levels: number): JsonObject => ({
  $defs: Object.fromEntries<JsonObject>(
    Array.from({ length: levels }, (_, at): [string, JsonObject] => [
      `a${at}`,
      at === levels - 1
        ? { type: 'object' }
        : { allOf: [{ $ref: `#/$defs/a${at + 1}` }, { $ref: `#/$defs/a${at + 1}` }] },
    ]),
  ),
  $ref: '#/$defs/a0',
});
const deep = (levels: number): JsonObject => (levels === 0 ? {} : { not: deep(levels - 1) });
const inText = (pattern: string): JsonObject => ({ properties: { a: { type: 'string', pattern } } });

describe('a schema', () => {
  test.each<[string, JsonObject, RegExp]>([
    ['is of no known type', { type: 'objct' }, /must be equal to one of/],
    ['has a keyword that means nothing', { typo: 1 }, /unknown keyword: "typo"/],
    ['is of another draft', { $schema: 'http://json-schema.org/draft-07/schema#' }, /draft-07/],
    ['refers to elsewhere', { $ref: 'https://example.org/s.json' }, /leads elsewhere/],
    ['refers to a file', { $ref: 'other.json#/a' }, /leads elsewhere/],
    ['refers to nothing', { $ref: '#/$defs/x' }, /leads nowhere/],
    ['refers to itself', { properties: { a: { $ref: '#' } } }, /circle/],
    [
      'goes round in a circle',
      {
        $ref: '#/$defs/a',
        $defs: { a: { anyOf: [{ $ref: '#/$defs/b' }] }, b: { not: { $ref: '#/$defs/a' } } },
      },
      /circle/,
    ],
    ['has a circle that nothing refers to', { $defs: { a: { items: { $ref: '#/$defs/a' } } } }, /circle/],
    ['doubles its work at each level', bomb(25), /places to check/],
    ['is nested too deep', deep(40), /deeper/],
    ['is large', { enum: Array.from({ length: 3000 }, (_, at) => at) }, /places/],
    ['has a dynamic reference', { $dynamicRef: '#x' }, /\$dynamicRef/],
    ['has an anchor', { $defs: { a: { $anchor: 'x' } } }, /\$anchor/],
    ['has ids inside', { properties: { a: { $id: 'https://a/' } } }, /\$id/],
    ['answers later', { $async: true }, /\$async/],
    ['compares each with each', { properties: { a: { uniqueItems: true } } }, /maxItems/],
    ['looks ahead', inText('(?=a)b'), /\(\?=/],
    ['refers back in a pattern', inText('(a)\\1'), /invalid escape/],
    ['has a pattern that is none', inText('['), /missing closing/],
    ['repeats repetitions', inText('(x{1000}){1000}'), /repeat count|places/],
    ['repeats much, often', { allOf: [1, 2, 3].map(() => inText('[a-z]{1,1000}[0-9]')) }, /places/],
  ])('that %s is refused, with the reason', (_what, schema, message) => {
    const made = compileSchema(schema);
    expect(made).toMatchObject({ refused: 'INVALID' });
    expect(isRefusal(made) ? made.message : '').toMatch(message);
  });

  test('with two patterns does not take one for the other', () => {
    const check = checkOf({
      properties: { a: { type: 'string', pattern: '^a$' }, b: { type: 'string', pattern: '^b$' } },
    });
    expect(check({ a: 'a', b: 'b' })).toBeNull();
    expect(check({ a: 'b' })).toMatchObject({ path: 'payload.a' });
    expect(check({ b: 'a' })).toMatchObject({ path: 'payload.b' });
  });

  test.each(['(a+)+$', '^(([a-z])+.)+[A-Z]([a-z])+$', '(x+x+)+y', '(a|aa)+$'])(
    'with the pattern %s, which takes others years, comes to an end on the largest payload',
    (pattern) => {
      const check = checkOf({ properties: { text: { type: 'string', pattern } } });
      expect(check({ text: `${'a'.repeat(250_000)}!` })).not.toBeNull();
    },
  );

  test('has no say about formats, which are notes', () => {
    expect(
      checkOf({ properties: { at: { type: 'string', format: 'date-time' } } })({ at: 'soon' }),
    ).toBeNull();
  });
});
