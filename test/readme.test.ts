import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { searchAttributes } from '../domain/names.ts';

const root = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const all = (text: string, pattern: RegExp): string[] => [
  ...new Set([...text.matchAll(pattern)].map((match) => match[1] ?? '')),
];

const readme = read('README.md');
const compose = read('docker-compose.yml');

function section(title: string): string {
  const rest = readme.split(`\n## ${title}\n`)[1];
  if (rest === undefined) throw new Error(`README.md has no section "${title}"`);
  return rest.split('\n## ')[0] ?? '';
}

function filesIn(folder: string, ending: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => ending.test(name))
    .map((name) => join(folder, name));
}

describe('what README.md names exists', () => {
  const folders =
    'activities|api|bench|cli|console|db|demo|docker|domain|scripts|stack|test|workers|workflows';
  const inFolder = new RegExp(`(?<![\\w/.@<-])((?:${folders})/[\\w./-]*\\w)`, 'g');
  const atTop = /`(\.?[\w-]+(?:\.[\w-]+)*\.(?:cjs|js|json|md|sh|sql|ts|yml)|Dockerfile)`/g;
  const folder = new RegExp(`\`((?:${folders})/)\``, 'g');
  // Recorded on demand, in the example of how that is done.
  const example = 'task.approve.v2.json';
  const paths = [...all(readme, inFolder), ...all(readme, atTop), ...all(readme, folder)];

  test.each(paths.filter((path) => path !== example))('%s', (path) => {
    expect(existsSync(join(root, path))).toBe(true);
  });

  const scripts = (JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts;
  test.each(all(readme, /npm (?:run )?(start|test\b|(?<=run )[\w:-]+)/g))('npm script %s', (script) => {
    expect(Object.keys(scripts)).toContain(script);
  });

  test.each(all(readme, /`test\/replay\/histories`|`((?:task|haloLoop)\.[a-z]+)`/g).filter(Boolean))(
    'a history of %s',
    (scenario) => {
      const known = readdirSync(join(root, 'test/replay/histories'));
      expect(known.some((name) => name.startsWith(`${scenario}.v`))).toBe(true);
    },
  );
});

describe('the configuration table', () => {
  const rows = section('Configuration')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split(' | ')[0] ?? '');
  const documented = rows.flatMap((cell) => all(cell, /`([A-Z_]+)`/g));

  const sources = [
    'domain/config.ts',
    'docker-compose.yml',
    ...filesIn('stack', /\.ts$/),
    ...filesIn('cli', /\.(?:ts|mjs)$/),
    ...filesIn('scripts', /\.mjs$/),
  ];
  const ours = new Set(sources.flatMap((path) => all(read(path), /\b(DREAMNET_[A-Z_]*[A-Z])\b/g)));

  test('has every DREAMNET_ variable of the code, once, and no other', () => {
    expect(documented.filter((name) => name.startsWith('DREAMNET_')).sort()).toEqual([...ours].sort());
  });

  test.each(all(read('domain/config.ts'), /^ {2}([A-Z_]+):/gm))('has %s of domain/config.ts', (name) => {
    expect(documented).toContain(name);
  });

  test.each(all(read('stack/config.ts'), /\benv\.([A-Z_]+)/g))('has %s of stack/config.ts', (name) => {
    expect(documented).toContain(name);
  });
});

describe('docker-compose.yml', () => {
  const body = compose.split('\nservices:\n')[1]?.split(/\n(?=\w)/)[0] ?? '';
  const services = body
    .split(/^ {2}(?=[\w-]+:$)/m)
    .filter((text) => /^[\w-]+:\n/.test(text))
    .map((text) => ({ name: text.split(':')[0] ?? '', text }));

  test('has the parts of the production shape', () => {
    expect(services.map(({ name }) => name)).toEqual([
      'postgres',
      'temporal-schema',
      'temporal',
      'temporal-namespace',
      'temporal-ui',
      'migrate',
      'api',
      'worker',
    ]);
  });

  test.each(services)('$name has a health check, or runs once and is waited for', ({ name, text }) => {
    const runsOnce = text.includes('restart: on-failure');
    if (runsOnce) expect(compose).toContain(`${name}: { condition: service_completed_successfully }`);
    else expect(text).toMatch(/healthcheck:\n(?: {6}.*\n)*? {6}test:/);
  });

  test.each(services)('$name publishes ports on this machine only', ({ text }) => {
    const ports = /^ {4}ports:\n((?: {6}.*\n)+)/m.exec(text)?.[1] ?? '';
    for (const line of ports.trim().split('\n').filter(Boolean))
      expect(line.trim()).toMatch(/^- 127\.0\.0\.1:/);
  });

  test('no password or key stands in it: each comes from a file', () => {
    const named = compose.split('\n').filter((line) => /(?:PASSWORD|PWD|SECRET|PEPPER|_KEY)\w*:/.test(line));
    expect(named.filter((line) => !/_FILE: \/run\/secrets\/[a-z-]+$/.test(line))).toEqual([]);
  });

  test('every secret it mounts is made by docker/make-secrets.sh', () => {
    const script = read('docker/make-secrets.sh');
    for (const file of all(compose, /\.\/secrets\/([\w.-]+) \}/g)) expect(script).toContain(file);
  });

  test('the application works with the application role only', () => {
    const secretsOf = (wanted: string): string =>
      services.find(({ name }) => name === wanted)?.text.match(/secrets: \[(.*)\]/)?.[1] ?? '';
    expect(secretsOf('migrate')).toBe('postgres-owner');
    for (const name of ['api', 'worker']) expect(secretsOf(name)).not.toMatch(/owner|superuser/);
    expect(secretsOf('worker')).not.toMatch(/pepper|ticket-private/);
  });

  test('the namespace script registers the search attributes of the code', () => {
    const loop = /for name in (.*); do/.exec(read('docker/temporal-namespace.sh'))?.[1] ?? '';
    expect(loop.split(' ')).toEqual(Object.values(searchAttributes));
  });
});
