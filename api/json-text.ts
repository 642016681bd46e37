import { ProblemError } from './problems.ts';

const maxDepth = 64;
const maxValues = 200_000;
const maxMembers = 1_000;

/**
 * Reads JSON from outside. What two readers could take for different things, or the database could not give back as it
 * came, is refused: a member twice, `__proto__`, NUL, half a surrogate pair, a number whose digits would be lost.
 * `what` begins the message: "The body", "Line 7".
 */
export function parseJson(text: string, what = 'The body', details?: { line: number }): unknown {
  const refuse = (reason: string): never => {
    throw new ProblemError('INVALID', `${what} ${reason}`, details === undefined ? {} : { details });
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse('is not valid JSON in UTF-8.');
  }
  // JSON.parse keeps the last of two members of one name, so what is left tells how many were dropped.
  if (countMembers(value, refuse) !== membersOf(text))
    refuse(`has the member ${JSON.stringify(repeatedMember(text).slice(0, 100))} twice in one object.`);
  return value;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

export function decodeText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new ProblemError('INVALID', 'The body is not valid JSON in UTF-8.');
  }
}

/** JSON lines: each line a value of its own; empty ones are passed over. Answers the values and their line numbers. */
export function parseLines(bytes: Uint8Array, maxLines: number): { values: unknown[]; lines: number[] } {
  const values: unknown[] = [];
  const lines: number[] = [];
  let line = 0;
  for (const text of decodeText(bytes).split('\n')) {
    line += 1;
    if (text.trim() === '') continue;
    if (values.length === maxLines)
      throw new ProblemError(
        'INVALID',
        `Line ${line} is one too many: a request takes at most ${maxLines} lines.`,
        { details: { line, maxLines } },
      );
    values.push(parseJson(text, `Line ${line}`, { line }));
    lines.push(line);
  }
  if (values.length === 0) throw new ProblemError('INVALID', 'The body has no line; send one event on each.');
  return { values, lines };
}

type Refuse = (reason: string) => never;

/** Counts the members of all objects, and refuses what cannot be stored or what no reader needs. */
function countMembers(root: unknown, refuse: Refuse): number {
  let values = 0;
  let members = 0;
  const visit = (value: unknown, depth: number): void => {
    values += 1;
    if (values > maxValues) refuse(`has more than ${maxValues} values.`);
    if (depth > maxDepth) refuse(`is nested deeper than ${maxDepth} levels.`);
    if (typeof value === 'string') requireText(value, refuse);
    else if (typeof value === 'number') requireNumber(value, refuse);
    else if (Array.isArray(value)) for (const each of value) visit(each, depth + 1);
    else if (typeof value === 'object' && value !== null) {
      const entries = Object.entries(value);
      if (entries.length > maxMembers) refuse(`has an object with more than ${maxMembers} members.`);
      members += entries.length;
      for (const [key, member] of entries) {
        if (key === '__proto__') refuse('has a member named __proto__; no object here takes one.');
        requireText(key, refuse);
        visit(member, depth + 1);
      }
    }
  };
  visit(root, 0);
  return members;
}

/** Postgres stores neither NUL nor half a surrogate pair. */
function requireText(text: string, refuse: Refuse): void {
  if (text.includes('\0') || !text.isWellFormed()) refuse('has a text with a NUL or half a surrogate pair.');
}

function requireNumber(value: number, refuse: Refuse): void {
  if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value)))
    refuse('has a number that is too large to be kept exactly; send it as a text.');
}

const quote = 0x22;
const colon = 0x3a;

/** Members in a text that is known to be JSON: the colons outside its strings. */
function membersOf(text: string): number {
  let members = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === quote) at = endOfString(text, at);
    else if (code === colon) members += 1;
  }
  return members;
}

function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text[end - 1 - escapes] === '\\') escapes += 1;
    if (escapes % 2 === 0) return end;
  }
}

function repeatedMember(text: string): string {
  const open: Set<string>[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '{' || char === '[') open.push(new Set());
    else if (char === '}' || char === ']') open.pop();
    else if (char === '"') {
      const end = endOfString(text, at);
      const isName = /^\s*:/.test(text.slice(end + 1, end + 100));
      const name = JSON.parse(text.slice(at, end + 1)) as string;
      at = end;
      if (!isName) continue;
      if (open.at(-1)?.has(name) === true) return name;
      open.at(-1)?.add(name);
    }
  }
  return '';
}
