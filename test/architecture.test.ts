import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cruise } from 'dependency-cruiser';
import extractDepcruiseOptions from 'dependency-cruiser/config-utl/extract-depcruise-options';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const fixtures = join(import.meta.dirname, 'architecture-fixtures');
const options = await extractDepcruiseOptions(join(root, '.dependency-cruiser.cjs'));
const rules = options.ruleSet?.forbidden ?? [];
const ruleNames = rules.map((rule) => rule.name ?? 'unnamed').sort();

async function violations(baseDir: string): Promise<{ rule: string; from: string; to: string }[]> {
  const { output } = await cruise(['.'], { ...options, baseDir }, options.enhancedResolveOptions);
  if (typeof output === 'string') throw new Error(`dependency-cruiser answered with text: ${output}`);
  if (output.summary.totalCruised === 0) throw new Error(`dependency-cruiser found no file in ${baseDir}`);
  return output.summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to }));
}

describe('import rules', () => {
  test('every rule has a fixture of its name, and every fixture a rule', () => {
    const found = readdirSync(fixtures).filter((name) => name !== 'allowed');
    expect(found.sort()).toEqual(ruleNames);
  });

  test.for(ruleNames)('%s fires on its fixture', async (name) => {
    const fired = await violations(join(fixtures, name));
    expect(fired.map(({ rule }) => rule)).toContain(name);
  });

  test('what the rules allow fires none of them', async () => {
    expect(await violations(join(fixtures, 'allowed'))).toEqual([]);
  });

  test('the code fires none of them', async () => {
    expect(await violations(root)).toEqual([]);
  });

  test('every folder with code has an import rule', () => {
    const unruled = readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !/^(?:\..*|node_modules|coverage|test)$/.test(entry.name))
      .map((entry) => entry.name)
      .filter((folder) =>
        readdirSync(join(root, folder), { recursive: true }).some((file) =>
          /\.[cm]?[jt]s$/.test(String(file)),
        ),
      )
      .filter((folder) => !rules.some((rule) => matches(rule.from, `${folder}/file.ts`)));
    expect(unruled).toEqual([]);
  });
});

function matches(from: object, file: string): boolean {
  return 'path' in from && typeof from.path === 'string' && new RegExp(from.path).test(file);
}
