import { describe, expect, test } from 'vitest';
import { compileFilter, type EventFilter, maxFilterLength } from '../../domain/event-filter.ts';
import type { LoggedEvent } from '../../domain/events.ts';
import type { JsonObject } from '../../domain/json.ts';
import { isRefusal } from '../../domain/refusal.ts';
import { aLoggedEvent } from '../support/events.ts';

function event(payload: JsonObject): LoggedEvent {
  return aLoggedEvent({
    type: 'api.endpoint.failed',
    sourceId: 'probe-1',
    severity: 'error',
    payload,
    metadata: { region: 'eu' },
    correlationId: 'cor-1',
    path: ['whl_1'],
    occurredAt: '2026-03-01T14:30:00.000Z',
  });
}

function filter(text: string): EventFilter {
  const compiled = compileFilter(text);
  if (isRefusal(compiled)) throw new Error(compiled.message);
  return compiled;
}

function refusal(text: string): string {
  const compiled = compileFilter(text);
  if (!isRefusal(compiled)) throw new Error(`'${text}' was not refused`);
  return compiled.message;
}

const order = event({
  total: 150,
  price: 100.5,
  name: 'Kürbis',
  isTest: false,
  empty: null,
  tags: ['red', 'Green'],
  items: [
    { n: 1, ok: true },
    { n: 2, ok: false },
  ],
  nested: { deep: { value: 'x' } },
});

describe('what is true', () => {
  test.for([
    'type == "api.endpoint.failed"',
    'type.startsWith("api.")',
    'source.type == "api" && source.id == "probe-1"',
    'destination == null',
    'severity == "error"',
    'severityRank >= 2',
    'atLeast(severity, "warning")',
    'priority in ["high", "critical"]',
    'metadata.region == "eu"',
    'correlationId == "cor-1" && causationId == null',
    '"whl_1" in path && hops == 1',
    'occurredAt > timestamp("2026-01-01T00:00:00Z")',
    'occurredAt.getHours() >= 9 && occurredAt.getHours() < 18',
    'payload.total > 100',
    'payload.price > 100',
    'payload.price > 100.25',
    'payload.total == 150',
    'payload.total == 150.0',
    'payload.total in [1, 150]',
    'payload.total * 2 == 300',
    'payload.price * 2 == 201',
    'payload.total + 0.5 == 150.5',
    'payload.total % 2 == 0',
    '-payload.total < 0',
    '1 + 1.5 == 2.5',
    'payload["total"] >= 150',
    'payload.items[1].n == 2',
    'payload.items.exists(item, item.n > 1)',
    'payload.items.all(item, item.n > 0)',
    'payload.items.exists_one(item, item.ok)',
    'payload.items.filter(item, item.ok).size() == 1',
    'payload.items.map(item, item.n) == [1, 2]',
    'payload.items.filter(item, item.n > 0).exists(item, item.n == 2)',
    'payload.nested.exists(key, key == "deep")',
    'payload.tags.exists(tag, tag.lowerAscii() == "green")',
    'payload.name.size() == 6 && size(payload.tags) == 2',
    'payload.name.contains("rb") && payload.name.endsWith("is")',
    'payload.name.matches("^K.+s$")',
    'has(payload.nested.deep) && !has(payload.other) && !has(payload.other.thing)',
    'has(payload.empty) && payload.empty == null',
    'payload.total > 200 ? false : true',
    '!payload.isTest',
    'int(payload.price) == 100 && double("1.5") == 1.5 && string(payload.total) == "150"',
    'payload.nested == payload.nested && payload.tags != payload.items',
    'payload.missing == 1 || payload.total == 150',
    'payload.total == 150 || payload.missing == 1',
    '!(payload.total == "150")',
  ])('%s', (text) => {
    expect(filter(text).explain(order)).toBe('The filter is true.');
    expect(filter(text).matches(order)).toBe(true);
  });
});

describe('what is false without failing', () => {
  test.for([
    ['payload.missing > 1', "no field 'missing'"],
    ['payload.missing != 1', "no field 'missing'"],
    ['payload.nested.deep.value.more == 1', "no field 'more'"],
    ['!payload.missing', "no field 'missing'"],
    ['payload.total > "100"', 'have no order'],
    ['payload.total', 'not true or false'],
    ['payload.items[7].n == 1', 'no item 7'],
    ['payload.total / 0 > 1', 'no finite result'],
    ['payload.name.lowerAscii() + payload.total == "x"', 'cannot be calculated'],
    ['payload.items.all(item, item.missing)', "no field 'missing'"],
    ['payload.total.size() == 1', "'size' does not fit"],
    ['timestamp(payload.name) < occurredAt', 'takes a time'],
    ['payload.total && true', 'need true or false'],
  ])('%s', ([text = '', why = '']) => {
    expect(filter(text).matches(order)).toBe(false);
    expect(filter(text).explain(order)).toContain(why);
  });

  test('a prototype has no fields: only what the event itself holds is there', () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '__defineGetter__']) {
      expect(filter(`has(payload.${name})`).matches(order)).toBe(false);
      expect(filter(`payload["${name}"] == null || true`).matches(order)).toBe(true);
      expect(filter(`payload["${name}"] != 1`).matches(order)).toBe(false);
      expect(filter(`"${name}" in payload`).matches(order)).toBe(false);
      expect(filter(`payload.tags["${name}"] != 1`).matches(order)).toBe(false);
      expect(filter(`payload.name["${name}"] != 1`).matches(order)).toBe(false);
    }
    const hostile = event(JSON.parse('{"__proto__": {"admin": true}, "constructor": 5}') as JsonObject);
    expect(filter('has(payload.admin)').matches(hostile)).toBe(false);
    expect(filter('payload.constructor == 5').matches(hostile)).toBe(true);
  });
});

describe('what is refused', () => {
  test.for([
    ['', 'empty'],
    ['payload.total > ', 'line 1, column 17'],
    ['payload.total >\n  (1 + ', 'line 2, column 8'],
    ['total > 1', "there is no 'total' (line 1, column 1)"],
    ['process.exit(1)', "there is no method 'exit'"],
    ['constructor == 1', "there is no 'constructor'"],
    ['__proto__ == 1', '__proto__'],
    ['severity > 3', 'string > int'],
    ['severity', 'a filter must be true or false'],
    ['payload.total + 1 == 2 ? 1 : 2', 'a filter must be true or false'],
    ['atLeast(severity, "bad")', 'a severity is one of'],
    ['payload.name.matches(payload.pattern)', 'as a text in quotes'],
    ['payload.name.matches("(")', 'RE2 cannot read the pattern'],
    ['payload.name.matches("(?=x)y")', 'RE2 cannot read the pattern'],
    ['payload.name.matches("a{1001}")', 'RE2 cannot read the pattern'],
    ['payload.name.matches("(a{1,90}){1,9}")', 'instructions'],
    ['payload.a.exists(x, x.exists(y, y == 1))', 'one list at a time'],
    ['payload.a.map(x, payload.b.filter(y, y == x)) == []', 'one list at a time'],
    ['payload.a.exists(1, true)', 'invalid predicate iteration variable'],
    ['payload.a.split(",").size() > 1', "there is no method 'split'"],
    ['type.replace("a", "b") == ""', "there is no method 'replace'"],
    ['duration("1h") > duration("2h")', "there is no function 'duration'"],
    ['{"a": 1}.a == 1', 'maps'],
    ['b"x" == b"x"', 'bytes'],
    ['cel.bind(x, 1, x == 1)', "there is no method 'bind'"],
    ['has(payload)', 'has() takes a field'],
  ])('%s', ([text = '', why = '']) => {
    expect(refusal(text)).toContain(why);
  });

  test('a refusal holds the position for a machine', () => {
    const compiled = compileFilter('severity == "error" && nothing.at > 1');
    expect(compiled).toMatchObject({ refused: 'INVALID', details: { position: 23, line: 1, column: 24 } });
  });
});

describe('hostile filters and events', () => {
  const manySteps = [
    Array.from({ length: 10_000 }, () => 'true').join(' && '),
    '('.repeat(10_000) + 'true' + ')'.repeat(10_000),
    '!'.repeat(10_000) + 'true',
    '-'.repeat(10_000) + '1 == 1',
    'payload' + '.a'.repeat(10_000) + ' == 1',
    'payload' + '[0]'.repeat(10_000) + ' == 1',
    '['.repeat(10_000),
    Array.from({ length: 10_000 }, () => 'true ?').join(' ') + ' true',
    '"' + 'x'.repeat(10_000),
  ];

  test.for(manySteps)('an expression of 10,000 steps is refused: %#', (text) => {
    expect(refusal(text)).toContain('characters');
    const cut = text.slice(0, maxFilterLength);
    expect(isRefusal(compileFilter(cut))).toBe(true);
  });

  const evilPatterns = [
    '(a+)+$',
    '(a|a)*$',
    '(a|aa)+$',
    '([a-zA-Z]+)*$',
    '(.*a){12}[xy]',
    '(x+x+)+y',
    '^(([a-z])+.)+[A-Z]([a-z])+$',
    '(a*)*(b*)*(a*)*[xy]',
    '(a|b)*a(a|b){60}[xy]',
    '(?i)(a|b|é|ß)*\\\\bx\\\\b',
  ];

  test.for(evilPatterns)('an evil pattern ends: %s', (pattern) => {
    const compiled = filter(`payload.text.matches("${pattern}")`);
    for (const text of ['a'.repeat(200_000) + '!', 'ab'.repeat(100_000) + '!', 'aab'.repeat(60_000)]) {
      expect(compiled.explain(event({ text }))).toMatch(/^The filter/);
    }
  });

  test('work that grows with the square of an event stops when its steps are used up', () => {
    const list = Array.from({ length: 20_000 }, (_, at) => `item-${at}`);
    const text = 'x'.repeat(100_000);
    const costly = [
      'payload.list.exists(x, payload.text.contains(x))',
      'payload.list.exists(x, payload.text + "a" == payload.text + "b")',
      'payload.list.exists(x, payload.list == payload.list && x == "")',
      'payload.list.exists(x, "none" in payload.list)',
      'payload.list.all(x, payload.text < payload.other || true)',
      'payload.list.map(x, payload.text + payload.text).size() == 1',
      'payload.list.map(x, payload.list + payload.list).size() == 1',
      'payload.list.exists(x, payload.text.lowerAscii().upperAscii().trim().size() == 0)',
      'payload.list.exists(x, payload.text.matches("(a|b|x)+y[ab]"))',
    ];
    for (const expression of costly) {
      expect(filter(expression).matches(event({ list, text, other: text }))).toBe(false);
      expect(filter(expression).explain(event({ list, text, other: text }))).toContain('steps');
    }
  });

  test('going once through the largest event stays within the steps', () => {
    const list = Array.from({ length: 60_000 }, (_, at) => at);
    expect(filter('payload.list.exists(n, n == 59999 && n > 5)').matches(event({ list }))).toBe(true);
    expect(
      filter('payload.text.contains("needle")').matches(event({ text: 'x'.repeat(250_000) + 'needle' })),
    ).toBe(true);
    expect(
      filter('payload.text.matches("need.e$")').matches(event({ text: 'x'.repeat(250_000) + 'needle' })),
    ).toBe(true);
  });

  test('values that lie 10,000 levels deep are compared without falling over', () => {
    const deep = (): JsonObject => {
      let value: JsonObject = {};
      for (let level = 0; level < 10_000; level++) value = { a: value };
      return value;
    };
    expect(filter('payload.one == payload.two').matches(event({ one: deep(), two: deep() }))).toBe(false);
  });

  test('evaluating never changes the event', () => {
    const before = structuredClone(order);
    for (const text of ['payload.items.map(x, x.n) + [1] == []', 'payload.tags + payload.tags == []'])
      filter(text).matches(order);
    expect(order).toEqual(before);
  });

  test('no text whatsoever makes the compiler throw', () => {
    const pieces = [
      'payload',
      '.',
      'a',
      '[',
      ']',
      '(',
      ')',
      '"',
      "'",
      '&&',
      '||',
      '!',
      '-',
      '1',
      '1.5',
      'u',
      'b"',
      ' in ',
      ',',
      '{',
      '}',
      ':',
      '?',
      'exists',
      '__proto__',
      '\\',
      '\n',
      'é',
      '\u0000',
      'type',
      'has',
      'null',
      'true',
      'r"',
      '0x',
      '1e',
      'matches',
    ];
    let state = 42;
    const next = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return (state >> 8) % below;
    };
    for (let round = 0; round < 20_000; round++) {
      const text = Array.from({ length: 1 + next(14) }, () => pieces[next(pieces.length)]).join('');
      const compiled = compileFilter(text);
      if (!isRefusal(compiled)) expect(typeof compiled.matches(order)).toBe('boolean');
    }
  });
});
