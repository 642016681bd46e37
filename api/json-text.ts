import { ProblemError } from './problems.ts';

const maxDepth = 64;
const maxValues = 200_000;

/** Reads JSON from outside that the record can hold. */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw notJson();
  }
  requireStorable(value);
  return value;
}

export function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw notJson();
  }
}

function notJson(): ProblemError {
  return new ProblemError('INVALID', 'The body is not valid JSON in UTF-8.');
}

/** Postgres stores neither NUL nor half a surrogate pair, and no reader of this system needs a deeper nesting. */
function requireStorable(root: unknown): void {
  let values = 0;
  const visit = (value: unknown, depth: number): void => {
    values += 1;
    if (values > maxValues) throw new ProblemError('INVALID', `The body has more than ${maxValues} values.`);
    if (depth > maxDepth)
      throw new ProblemError('INVALID', `The body is nested deeper than ${maxDepth} levels.`);
    if (typeof value === 'string') requireText(value);
    else if (typeof value === 'number') requireNumber(value);
    else if (Array.isArray(value)) for (const member of value) visit(member, depth + 1);
    else if (typeof value === 'object' && value !== null)
      for (const [key, member] of Object.entries(value)) {
        requireText(key);
        visit(member, depth + 1);
      }
  };
  visit(root, 0);
}

function requireText(text: string): void {
  if (text.includes('\0') || !text.isWellFormed())
    throw new ProblemError('INVALID', 'The body has a text with a NUL or half a surrogate pair.');
}

function requireNumber(value: number): void {
  if (!Number.isFinite(value)) throw new ProblemError('INVALID', 'The body has a number that is too large.');
}
