import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { usage } from './problem.ts';

/** An object from the command line: JSON itself, `@file`, or `-` for stdin. */
export async function readObject(option: string, given: string): Promise<Record<string, unknown>> {
  const source =
    given === '-'
      ? await text(process.stdin)
      : given.startsWith('@')
        ? readFile(`--${option}`, given)
        : given;
  const value = parse(source);
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw usage(
    `--${option} is not a JSON object.`,
    `Give --${option} '{"name": "value"}', --${option} @file.json, or --${option} - to read stdin.`,
  );
}

/** A secret from `@file` or stdin, never from the line itself: others on the machine can read that. */
export async function readSecret(option: string, given: string): Promise<string> {
  if (given === '-') return (await text(process.stdin)).trim();
  if (given.startsWith('@')) return readFile(`--${option}`, given).trim();
  throw usage(`--${option} takes @file, or - to read stdin; on the line itself others could read it.`);
}

/** An object from a file that is named as a word of its own, `-` for stdin. */
export async function readObjectFile(file: string): Promise<Record<string, unknown>> {
  const source = file === '-' ? await text(process.stdin) : readFile('FILE', `@${file}`);
  const value = parse(source);
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw usage(`${file === '-' ? 'stdin' : file} does not hold a JSON object.`);
}

function readFile(option: string, given: string): string {
  const file = given.slice(1);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw usage(`${option}: the file ${file} cannot be read (${reason}).`);
  }
}

function parse(source: string): unknown {
  try {
    return JSON.parse(source) as unknown;
  } catch {
    return undefined;
  }
}

/** A number from the command line. */
export function readNumber(option: string, given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const value = Number(given);
  if (given.trim() === '' || !Number.isFinite(value))
    throw usage(`--${option} is "${given}"; it has to be a number.`);
  return value;
}

/** A list from the command line, its parts separated by commas. */
export function readList(given: string): string[] {
  return given
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
