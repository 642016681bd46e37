import type { ASTNode } from '@marcbachmann/cel-js';
import { isAtLeast, severities, type Severity } from './events.ts';
import {
  convert,
  type Fault,
  fault,
  FilterError,
  isFault,
  isRecord,
  kindOf,
  methods,
  type Outcome,
  type Run,
  type Scope,
  spend,
  type Step,
  usedUp,
} from './filter-values.ts';
import type { Json } from './json.ts';

const macros = ['all', 'exists', 'exists_one', 'filter', 'map'] as const;
type Macro = (typeof macros)[number];
const conversions = ['size', 'timestamp', 'string', 'int', 'double', 'dyn'] as const;
const allowed = `allowed are has, atLeast, ${[...conversions, ...methods.keys(), 'matches', ...macros].join(', ')}`;

export function compileCall(name: string, args: ASTNode[], at: number, scope: Scope): Step {
  const [first, second] = args;
  if (name === 'has' && first && !second) return compileHas(first, scope);
  if (name === 'atLeast' && first && second) return compileAtLeast(first, second, scope);
  if (first && !second && isConversion(name)) {
    const operand = scope.compile(first, scope);
    return (run) => {
      const value = operand(run);
      return isFault(value) ? value : convert(name, value, run);
    };
  }
  throw new FilterError(`there is no function '${name}' of ${args.length} arguments; ${allowed}`, at);
}

function isConversion(name: string): name is (typeof conversions)[number] {
  return conversions.some((known) => known === name);
}

/** True when the field is there, whatever its value; a missing object on the way makes it false. */
function compileHas(node: ASTNode, scope: Scope): Step {
  if (node.op !== '.') throw new FilterError('has() takes a field, as in has(payload.total)', node.start);
  const field = scope.compile(node, scope);
  return (run) => {
    const value = field(run);
    return run.left < 0 ? usedUp : !isFault(value);
  };
}

function compileAtLeast(severity: ASTNode, minimum: ASTNode, scope: Scope): Step {
  if (minimum.op === 'value' && !isSeverity(minimum.args)) {
    throw new FilterError(`a severity is one of ${severities.join(', ')}`, minimum.start);
  }
  return compileBinaryOf(scope.compile(severity, scope), scope.compile(minimum, scope), (left, right) =>
    isSeverity(left) && isSeverity(right)
      ? isAtLeast(left, right)
      : fault(`a severity is one of ${severities.join(', ')}`),
  );
}

function compileBinaryOf(left: Step, right: Step, apply: (left: Json, right: Json) => Outcome): Step {
  return (run) => {
    const first = left(run);
    if (isFault(first)) return first;
    const second = right(run);
    return isFault(second) ? second : apply(first, second);
  };
}

function isSeverity(value: unknown): value is Severity {
  return severities.some((severity) => severity === value);
}

/** A method of a value, or one of the macros that go through a list. */
export function compileMethod(name: string, on: ASTNode, args: ASTNode[], at: number, scope: Scope): Step {
  if (isMacro(name) && args.length === 2) return compileMacro(name, on, args, at, scope);
  if (name === 'matches' && args.length === 1) return compileMatches(on, args, scope);
  const method = methods.get(name);
  if (!method || method.takes !== args.length) {
    throw new FilterError(`there is no method '${name}' with ${args.length} arguments; ${allowed}`, at);
  }
  const receiver = scope.compile(on, scope);
  const operand = args[0] && scope.compile(args[0], scope);
  return (run) => {
    const value = receiver(run);
    if (isFault(value)) return value;
    const argument = operand ? operand(run) : null;
    if (isFault(argument)) return argument;
    return method.apply(value, argument, run) ?? fault(`'${name}' does not fit a ${kindOf(value)}`);
  };
}

function isMacro(name: string): name is Macro {
  return macros.some((known) => known === name);
}

function compileMatches(on: ASTNode, [pattern]: ASTNode[], scope: Scope): Step {
  if (pattern?.op !== 'value' || typeof pattern.args !== 'string') {
    throw new FilterError('matches() takes its pattern as a text in quotes', pattern?.start ?? on.start);
  }
  const compiled = scope.rules.compilePattern(pattern.args, pattern.start);
  const receiver = scope.compile(on, scope);
  return (run) => {
    const value = receiver(run);
    if (isFault(value)) return value;
    if (typeof value !== 'string') return fault(`a ${kindOf(value)} cannot match a pattern`);
    return spend(run, value.length * compiled.cost) ? compiled.test(value) : usedUp;
  };
}

function compileMacro(name: Macro, on: ASTNode, args: ASTNode[], at: number, scope: Scope): Step {
  const [variable, body] = args;
  if (variable?.op !== 'id' || !body) {
    throw new FilterError(`${name}() takes a name and a condition, as in list.${name}(item, item > 1)`, at);
  }
  if (scope.local !== undefined) {
    throw new FilterError(
      `${name}() inside another list's condition: a filter goes through one list at a time`,
      at,
    );
  }
  const range = scope.compile(on, scope);
  const step = scope.compile(body, { ...scope, local: variable.args });
  const go = goThrough[name];
  return (run) => {
    const items = listOf(range(run), run);
    if (isFault(items)) return items;
    return go(items, (item) => {
      run.item = item;
      return step(run);
    });
  };
}

/** A list as it is; of an object its keys, as CEL has it. */
function listOf(value: Outcome, run: Run): Json[] | Fault {
  if (isFault(value) || Array.isArray(value)) return value;
  if (!isRecord(value)) return fault(`a ${kindOf(value)} is no list`);
  const keys = Object.keys(value);
  return spend(run, keys.length) ? keys : usedUp;
}

type GoThrough = (items: Json[], step: (item: Json) => Outcome) => Outcome;

/** The first item that settles the answer settles it, even when others cannot be evaluated. */
function quantify(settles: boolean): GoThrough {
  return (items, step) => {
    let trouble: Fault | undefined;
    for (const item of items) {
      const value = step(item);
      if (value === settles) return settles;
      if (value === usedUp) return usedUp;
      if (value !== !settles) trouble ??= isFault(value) ? value : noCondition;
    }
    return trouble ?? !settles;
  };
}

const noCondition = fault("a list's condition must be true or false");

const goThrough: Record<Macro, GoThrough> = {
  all: quantify(false),
  exists: quantify(true),
  exists_one: (items, step) => {
    const kept = keep(items, step);
    return isFault(kept) ? kept : kept.length === 1;
  },
  filter: keep,
  map: transform,
};

function transform(items: Json[], step: (item: Json) => Outcome): Json[] | Fault {
  const made: Json[] = [];
  for (const item of items) {
    const value = step(item);
    if (isFault(value)) return value;
    made.push(value);
  }
  return made;
}

function keep(items: Json[], step: (item: Json) => Outcome): Json[] | Fault {
  const kept: Json[] = [];
  for (const item of items) {
    const value = step(item);
    if (isFault(value)) return value;
    if (typeof value !== 'boolean') return noCondition;
    if (value) kept.push(item);
  }
  return kept;
}
