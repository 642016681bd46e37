import type { ASTNode } from '@marcbachmann/cel-js';
import type { Json, JsonObject } from './json.ts';

/** Steps an evaluation may take; a step is one operation, or what it costs to look at so many characters. */
export const maxSteps = 4_000_000;

/** Why an expression has no value for an event. A value of its own, because CEL lets && and || pass over it. */
export type Fault = { readonly fault: string; readonly [isAFault]: true };
const isAFault = Symbol('fault');

export type Outcome = Json | Fault;
export type Run = { variables: Record<string, Json>; item: Json; left: number };
export type Step = (run: Run) => Outcome;

export type FilterRules = {
  variables: readonly string[];
  compilePattern(pattern: string, at: number): { cost: number; test(text: string): boolean };
};
export type Scope = {
  rules: FilterRules;
  /** The name a list's condition gives to the item at hand. */
  local?: string;
  compile(node: ASTNode, scope: Scope): Step;
};

/** What is wrong with a filter, and where in its text. */
export class FilterError extends Error {
  readonly position: number;

  constructor(problem: string, position: number) {
    super(problem);
    this.name = 'FilterError';
    this.position = position;
  }
}

export const fault = (problem: string): Fault => ({ fault: problem, [isAFault]: true });
export const usedUp = fault('its steps are used up');

export function isFault(value: Outcome | undefined): value is Fault {
  return typeof value === 'object' && value !== null && isAFault in value;
}

export function isRecord(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function kindOf(value: Json): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'list' : typeof value;
}

/** Texts are looked at by the machine sixteen characters at a time, or faster. */
const perStep = 16;

/** Pays for an operation; false when the steps are used up. */
export function spend(run: Run, steps: number): boolean {
  run.left -= steps;
  return run.left >= 0;
}

const spendText = (run: Run, length: number): boolean => spend(run, length / perStep);

/** Equal in kind and content; deeper than JSON that people write counts as unequal. */
export function equals(left: Json, right: Json, run: Run, depth = 0): boolean {
  if (!spend(run, 1) || depth > maxDepth) return false;
  if (typeof left === 'string' && typeof right === 'string') {
    return left.length === right.length && spendText(run, left.length) && left === right;
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    return (
      left.length === right.length &&
      left.every((item, at) => equals(item, right[at] ?? null, run, depth + 1))
    );
  }
  if (isRecord(left) && isRecord(right)) {
    const keys = Object.keys(left);
    return (
      spend(run, keys.length) &&
      keys.length === Object.keys(right).length &&
      keys.every(
        (key) => Object.hasOwn(right, key) && equals(left[key] ?? null, right[key] ?? null, run, depth + 1),
      )
    );
  }
  return left === right;
}

const maxDepth = 200;

/** An item of a list, or a key of an object. */
export function contains(whole: Json, part: Json, run: Run): Outcome {
  if (Array.isArray(whole)) return whole.some((item) => equals(item, part, run));
  if (isRecord(whole)) return typeof part === 'string' && Object.hasOwn(whole, part);
  return fault(`a ${kindOf(whole)} holds nothing`);
}

/** Compares two numbers, two texts, or two of true and false. */
export function order(answer: (sign: number) => boolean): (left: Json, right: Json, run: Run) => Outcome {
  return (left, right, run) => {
    if (typeof left === 'string' && typeof right === 'string') {
      if (!spendText(run, Math.min(left.length, right.length))) return usedUp;
      return answer(left < right ? -1 : left > right ? 1 : 0);
    }
    const pair = [left, right].map((value) => (typeof value === 'boolean' ? Number(value) : value));
    const [first, second] = pair;
    if (typeof left !== typeof right || typeof first !== 'number' || typeof second !== 'number') {
      return fault(`a ${kindOf(left)} and a ${kindOf(right)} have no order`);
    }
    return answer(first - second);
  };
}

type Method = { takes: number; apply(value: Json, argument: Json, run: Run): Outcome | undefined };

const onTexts = (apply: (text: string, part: string) => Json): Method => ({
  takes: 1,
  apply(value, argument, run) {
    if (typeof value !== 'string' || typeof argument !== 'string') return undefined;
    return spendText(run, value.length + argument.length) ? apply(value, argument) : usedUp;
  },
});

const onText = (apply: (text: string) => Json): Method => ({
  takes: 0,
  apply(value, _, run) {
    if (typeof value !== 'string') return undefined;
    return spend(run, value.length) ? apply(value) : usedUp;
  },
});

const onTime = (apply: (time: Date) => number): Method => ({
  takes: 0,
  apply: (value) => (typeof value === 'number' ? apply(new Date(value)) : undefined),
});

export const methods = new Map<string, Method>([
  ['contains', onTexts((text, part) => text.includes(part))],
  ['startsWith', onTexts((text, part) => text.startsWith(part))],
  ['endsWith', onTexts((text, part) => text.endsWith(part))],
  ['lowerAscii', onText((text) => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()))],
  ['upperAscii', onText((text) => text.replace(/[a-z]+/g, (letters) => letters.toUpperCase()))],
  ['trim', onText((text) => text.trim())],
  ['size', { takes: 0, apply: (value, _, run) => sizeOf(value, run) }],
  ['getHours', onTime((time) => time.getUTCHours())],
  ['getMinutes', onTime((time) => time.getUTCMinutes())],
  ['getDayOfWeek', onTime((time) => time.getUTCDay())],
]);

/** Characters of a text, items of a list, fields of an object. */
function sizeOf(value: Json, run: Run): Outcome | undefined {
  if (Array.isArray(value)) return value.length;
  if (typeof value === 'string') return spend(run, value.length) ? [...value].length : usedUp;
  if (!isRecord(value)) return undefined;
  const size = Object.keys(value).length;
  return spend(run, size) ? size : usedUp;
}

/** The functions of one argument that make another value of it. */
export function convert(name: string, value: Json, run: Run): Outcome {
  if (name === 'dyn') return value;
  if (name === 'size') return sizeOf(value, run) ?? fault(`a ${kindOf(value)} has no size`);
  if (name === 'timestamp') return readTime(value);
  if (isRecord(value) || Array.isArray(value) || value === null) {
    return fault(`a ${kindOf(value)} cannot be made a ${name}`);
  }
  if (name === 'string') return String(value);
  const number =
    typeof value === 'string' && (value.trim() === '' || value.length > 400) ? NaN : Number(value);
  if (!Number.isFinite(number)) return fault('a text without a number in it cannot be made one');
  return name === 'int' ? Math.trunc(number) : number;
}

function readTime(value: Json): Outcome {
  const time = typeof value === 'string' ? Date.parse(value) : NaN;
  return Number.isNaN(time) ? fault('timestamp() takes a time such as 2026-01-31T12:00:00Z') : time;
}
