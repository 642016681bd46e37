import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { RE2JS } from 're2js';
import { type LoggedEvent, severities } from './events.ts';
import { compileSteps } from './filter-steps.ts';
import { fault, FilterError, isFault, maxSteps, type Run, type Step } from './filter-values.ts';
import { refuse, type Refusal } from './refusal.ts';

/*
 * A filter is an expression in CEL (the Common Expression Language). The package reads it and checks its types;
 * it is evaluated here, step by step, because a filter runs for every event: each step and each character a function
 * looks at is counted, regular expressions are RE2's, and there is one kind of number, as in JSON.
 */
export type EventFilter = {
  /** False too when a field is missing, a value is of the wrong kind, or the steps are used up. */
  matches(event: LoggedEvent): boolean;
  /** Why the filter answers what it answers, for a person. */
  explain(event: LoggedEvent): string;
};

export const maxFilterLength = 2_000;
const maxPatternLength = 500;
const maxPatternSize = 500;

const limits = {
  maxAstNodes: 400,
  maxDepth: 32,
  maxListElements: 200,
  maxMapEntries: 1,
  maxCallArguments: 4,
};

const variables = {
  type: 'string',
  source: 'map<string, string>',
  destination: 'dyn',
  severity: 'string',
  severityRank: 'int',
  priority: 'string',
  payload: 'map<string, dyn>',
  metadata: 'map<string, dyn>',
  correlationId: 'dyn',
  causationId: 'dyn',
  path: 'list<string>',
  hops: 'int',
  occurredAt: 'google.protobuf.Timestamp',
} as const;
const filterVariables = Object.keys(variables);

/** CEL has a constant of its own called `type`; the checker knows ours by a name that is as long. */
const typeAlias = 'typ_';

const environment = createEnvironment();

function createEnvironment(): Environment {
  const made = new Environment({ homogeneousAggregateLiterals: false, limits });
  for (const [name, type] of Object.entries(variables)) {
    made.registerVariable(name === 'type' ? typeAlias : name, type);
  }
  made.registerFunction('atLeast(string, string): bool', () => false);
  // JSON knows one kind of number, so the checker lets the two of CEL meet; these functions are never called.
  made.registerOperator('int == double', () => false);
  for (const operator of ['+', '-', '*', '/', '%']) {
    if (operator === '%') made.registerOperator('double % double: double', () => 0);
    made.registerOperator(`int ${operator} double: double`, () => 0);
    made.registerOperator(`double ${operator} int: double`, () => 0);
  }
  return made;
}

/** Compiles a filter once; what is wrong with its text is refused with the place where it is wrong. */
export function compileFilter(text: string): EventFilter | Refusal {
  if (text.trim() === '') {
    return refuse('INVALID', 'The filter is empty: leave it out to match every event, or write a condition.');
  }
  if (text.length > maxFilterLength) {
    return refuse(
      'INVALID',
      `The filter has ${text.length} characters; ${maxFilterLength} are allowed. Move part of it into the types and sources of the match.`,
    );
  }
  try {
    const ast = environment.parse(text).ast;
    const step = compileSteps(ast, { variables: filterVariables, compilePattern });
    checkTypes(text, ast);
    return createFilter(step);
  } catch (error) {
    return asRefusal(text, error);
  }
}

function createFilter(step: Step): EventFilter {
  const run = (event: LoggedEvent) => {
    const state: Run = { variables: readVariables(event), item: null, left: maxSteps };
    const value = step(state);
    return state.left < 0 ? fault(`it needs more than ${maxSteps} steps for this event`) : value;
  };
  return {
    matches: (event) => run(event) === true,
    explain(event) {
      const value = run(event);
      if (typeof value === 'boolean') return value ? 'The filter is true.' : 'The filter is false.';
      const why = isFault(value) ? value.fault : 'its value is not true or false';
      return `The filter counts as false: ${why}.`;
    },
  };
}

function readVariables(event: LoggedEvent): Run['variables'] {
  return {
    type: event.type,
    source: { type: event.sourceType, id: event.sourceId },
    destination: event.destination,
    severity: event.severity,
    severityRank: severities.indexOf(event.severity),
    priority: event.priority,
    payload: event.payload,
    metadata: event.metadata,
    correlationId: event.correlationId,
    causationId: event.causationId,
    path: event.path,
    hops: event.path.length,
    occurredAt: Date.parse(event.occurredAt),
  };
}

function checkTypes(text: string, ast: ASTNode): void {
  const renamed = renameType(text, ast);
  const result = environment.parse(renamed).check();
  if (!result.valid) throw result.error ?? new FilterError('its types do not fit', 0);
  if (result.type !== 'bool' && result.type !== 'dyn') {
    throw new FilterError(`it gives a ${result.type}, but a filter must be true or false`, 0);
  }
}

function renameType(text: string, ast: ASTNode): string {
  let renamed = text;
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    if (!isNode(value)) return;
    if (value.op === 'id' && value.args === 'type') {
      renamed = renamed.slice(0, value.start) + typeAlias + renamed.slice(value.end);
    }
    visit(value.args);
  };
  visit(ast);
  return renamed;
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'start' in value;
}

/** RE2 runs in time linear in the text; the size of the compiled pattern is what each character costs. */
function compilePattern(pattern: string, at: number): { cost: number; test(text: string): boolean } {
  if (pattern.length > maxPatternLength) {
    throw new FilterError(
      `the pattern has ${pattern.length} characters; ${maxPatternLength} are allowed`,
      at,
    );
  }
  const compiled = readPattern(pattern, at);
  const cost = compiled.programSize();
  if (cost > maxPatternSize) {
    throw new FilterError(
      `the pattern unfolds to ${cost} instructions; ${maxPatternSize} are allowed: use smaller repetitions`,
      at,
    );
  }
  return { cost, test: (text) => compiled.test(text) };
}

function readPattern(pattern: string, at: number): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    throw new FilterError(
      `RE2 cannot read the pattern (${error instanceof Error ? error.message : 'unknown error'})`,
      at,
    );
  }
}

function asRefusal(text: string, error: unknown): Refusal {
  if (error instanceof FilterError) return refused(text, error.message, error.position);
  if (error instanceof Error && 'summary' in error && typeof error.summary === 'string') {
    const range = 'range' in error ? (error.range as { start?: number } | undefined) : undefined;
    return refused(text, error.summary, range?.start ?? 0);
  }
  throw error;
}

function refused(text: string, problem: string, position: number): Refusal {
  const before = text.slice(0, position).split('\n');
  const line = before.length;
  const column = (before.at(-1)?.length ?? 0) + 1;
  return refuse(
    'INVALID',
    `The filter cannot be used: ${problem} (line ${line}, column ${column}). It may use ${filterVariables.join(', ')}.`,
    { position, line, column, problem },
  );
}
