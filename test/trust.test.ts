import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const text = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => readFileSync(join(import.meta.dirname, name), 'utf8'))
  .join('\n');

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, at) => from + at);

/** Lines of the security checklist that the gate, access, the API and the bus answer for. */
const lines = [...range(1, 18), ...range(32, 48)];

test.each(lines)('line %i of the security checklist has a test that names it', (line) => {
  expect(text).toMatch(new RegExp(`['"][^'"\\n]*TRUST 4\\.${line}\\b`));
});
