import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPlaceholder, parseEnvFile } from '../../domain/analyzers/env-file.ts';
import {
  analyzeEnvironment,
  checkEnvironment,
  type EnvFileSnapshot,
} from '../../domain/analyzers/environment.ts';
import { propertyRuns } from './runs.ts';

const file = (path: string, text: string): EnvFileSnapshot => ({ path, file: parseEnvFile(text) });

describe('a file of environment variables', () => {
  test.each<[string, string, Record<string, string>]>([
    ['a plain value', 'A=1', { A: '1' }],
    ['blanks around name and value', '  A = b c  ', { A: 'b c' }],
    ['export', 'export A=1', { A: '1' }],
    ['comments and empty lines', '# A=1\n\n  # x\nB=2 # two', { B: '2' }],
    ['a # inside of a value', 'A=a#b', { A: 'a#b' }],
    ['no value', 'A=\nB=# nothing', { A: '', B: '' }],
    ['an = in a value', 'A=b=c==', { A: 'b=c==' }],
    ['double quotes with escapes', 'A="a \\"b\\"\\n# c" # d', { A: 'a "b"\n# c' }],
    ['single quotes as they are', 'A=\'a\\n"b"\'', { A: 'a\\n"b"' }],
    [
      'a value over several lines',
      'A="-----BEGIN\nabc=\n-----END"\nB=2',
      { A: '-----BEGIN\nabc=\n-----END', B: '2' },
    ],
    ['ends of lines of other systems', '\uFEFFA=1\r\nB=2\rC=3', { A: '1', B: '2', C: '3' }],
    ['the last of two', 'A=1\nA=2', { A: '2' }],
    ['names like those of objects', '__proto__=1\nconstructor=2', { ['__proto__']: '1', constructor: '2' }],
  ])('%s', (_what, text, values) => {
    expect([...parseEnvFile(text).values]).toEqual(Object.entries(values));
  });

  test.each<[string, string, string[], string[]]>([
    ['a line without =', 'A=1\nsecret text\nB=2', ['A', 'B'], ['line 2 is not NAME=value']],
    [
      'a name that is none',
      '1A=1\nA-B=1\n=x',
      [],
      ['line 1', 'line 2', 'line 3'].map((n) => `${n} is not NAME=value`),
    ],
    [
      'an unquoted key of many lines',
      'A=1\n+/secret\nsecretEnd==\nB=2',
      ['A', 'B'],
      ['line 2', 'line 3'].map((n) => `${n} is not NAME=value`),
    ],
    [
      'a quote without end',
      'A=1\nB="x\nC=3',
      ['A'],
      ['line 2 opens a quote that never ends: what follows it was not read'],
    ],
    ['text behind a quote', 'A="x" y', ['A'], ['line 1 goes on behind its quote']],
    ['a name set twice', 'A=1\nA=2', ['A'], ['line 2 sets A again']],
  ])('%s is a problem that repeats no text', (_what, text, names, problems) => {
    const parsed = parseEnvFile(text);
    expect([...parsed.values.keys()]).toEqual(names);
    expect(parsed.problems).toEqual(problems);
  });

  const name = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,20}$/);
  const quoted = (value: string) =>
    `"${value.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\r', '\\r')}"`;

  test('quoted values come back as they were', () => {
    fc.assert(
      fc.property(fc.dictionary(name, fc.string({ unit: 'grapheme' })), (given) => {
        const text = Object.entries(given).map(([key, value]) => `${key}=${quoted(value)}`);
        expect(parseEnvFile(text.join('\n'))).toEqual({
          values: new Map(Object.entries(given)),
          problems: [],
        });
      }),
      propertyRuns,
    );
  });

  test('any text is read without an error, with names that are names', () => {
    const pieces = fc.array(
      fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('\n', '=', '"', "'", '#', 'A=', '\\')),
    );
    fc.assert(
      fc.property(pieces, (parts) => {
        for (const key of parseEnvFile(parts.join('')).values.keys()) expect(key).toMatch(/^[A-Za-z_]\w*$/);
      }),
      propertyRuns,
    );
  });

  test.each(['changeme', 'CHANGE_ME', '<your key>', 'your-api-key', 'xxxx', 'TODO', '{{ key }}', '...'])(
    '%s is a placeholder',
    (value) => expect(isPlaceholder(value)).toBe(true),
  );
  test.each(['', '1', 'youth', 'http://<host>/', 'xx', 'todos', '${HOME}'])('%j is a value', (value) =>
    expect(isPlaceholder(value)).toBe(false),
  );
});

describe('environment files against the first', () => {
  const first = 'A=1\nB=2\nT=\nP=changeme';
  test.each<[string, string, [string, string][]]>([
    ['the same', `${first.replace('changeme', 'real')}`, []],
    ['a missing key is high', 'A=1\nT=\nP=x', [['high', 'lacks B of /first']]],
    ['another value is medium', 'A=1\nB=3\nT=\nP=x', [['medium', 'has another value than /first for B']]],
    ['an emptied value is medium', 'A=1\nB=\nT=\nP=x', [['medium', 'has another value than /first for B']]],
    ['a template is filled in', 'A=1\nB=2\nT=filled\nP=filled', []],
    ['a placeholder left is medium', first, [['medium', 'still has a placeholder for P']]],
    [
      'a placeholder is not also another value',
      'A=todo\nB=2\nT=\nP=x',
      [['medium', 'still has a placeholder for A']],
    ],
    ['a key more is low', `A=1\nB=2\nT=\nP=x\nX=1`, [['low', 'has X, which /first lacks']]],
    ['what cannot be read is low', 'A=1\nB=2\nT=\nP=x\noops', [['low', 'line 5 is not NAME=value']]],
    [
      'many keys are counted',
      'Z=1',
      [
        ['high', 'lacks A, B, P and 1 more of /first'],
        ['low', 'has Z, which /first lacks'],
      ],
    ],
  ])('%s', (_what, text, wanted) => {
    const issues = analyzeEnvironment([file('/first', first), file('/second', text)]);
    expect(issues.map(({ severity, title }) => [severity, title])).toEqual(wanted);
  });

  test('a file that cannot be read is high; without the first nothing is compared', () => {
    const gone = { path: '/gone', unread: 'there is no such file' };
    expect(analyzeEnvironment([file('/first', 'A=1'), gone])).toMatchObject([
      { severity: 'high', title: 'cannot be read: there is no such file', entityId: '/gone' },
    ]);
    const [blind, ...rest] = analyzeEnvironment([gone, file('/second', 'B=1')]);
    expect(blind?.title).toContain('nothing is compared');
    expect(rest).toEqual([]);
  });

  test('an issue names file, reference, owner and keys, and two looks give it the same key', () => {
    const look = () => analyzeEnvironment([file('/first', 'B=1\nA=1'), file('/second', '')], 'prn_1');
    expect(look()).toMatchObject([
      {
        ...{ key: '/second:missing', analyzer: 'environment', entityKind: 'environment', owner: 'prn_1' },
        ...{ subject: { file: '/second', reference: '/first' }, observed: { missing: ['A', 'B'], count: 2 } },
      },
    ]);
    expect(look()).toEqual(look());
  });

  test('no value of any file is in what is reported', () => {
    const name = fc.stringMatching(/^[A-Z]{1,3}$/);
    const secret = fc.stringMatching(/^§[a-z]{6}$/);
    const lines = fc.array(
      fc.oneof(
        fc.tuple(name, secret).map(([key, value]) => `${key}=${value}`),
        fc.tuple(name, secret).map(([key, value]) => `${key}="${value}\n${value}=${value}"`),
        secret,
        fc.tuple(name, secret).map(([key, value]) => `${key}="${value}`),
      ),
    );
    fc.assert(
      fc.property(lines, lines, (one, other) => {
        const files = [file('/first', one.join('\n')), file('/second', other.join('\n'))];
        expect(JSON.stringify([files, checkEnvironment(files)])).not.toContain('§');
      }),
      propertyRuns,
    );
  });

  test('as a check: not configured, green, amber, red', () => {
    const stateOf = (...files: EnvFileSnapshot[]) => checkEnvironment(files).checks.map(({ state }) => state);
    expect(stateOf()).toEqual(['not-configured']);
    expect(stateOf(file('/a', 'A=1'), file('/b', 'A=1\nB=1'))).toEqual(['green']);
    expect(stateOf(file('/a', 'A=1'), file('/b', 'A=2'))).toEqual(['amber']);
    expect(stateOf(file('/a', 'A=1'), file('/b', 'B=2'))).toEqual(['red']);
  });
});
