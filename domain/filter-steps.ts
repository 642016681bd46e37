import type { ASTNode } from '@marcbachmann/cel-js';
import { compileCall, compileMethod } from './filter-calls.ts';
import {
  contains,
  equals,
  fault,
  FilterError,
  type FilterRules,
  isFault,
  isRecord,
  kindOf,
  order,
  type Outcome,
  type Run,
  type Scope,
  spend,
  type Step,
  usedUp,
} from './filter-values.ts';
import type { Json } from './json.ts';

/** Turns a read expression into one function; only operations named here exist. */
export function compileSteps(ast: ASTNode, rules: FilterRules): Step {
  return compile(ast, { rules, compile });
}

function compile(node: ASTNode, scope: Scope): Step {
  const step = compileNode(node, scope);
  return (run) => (--run.left < 0 ? usedUp : step(run));
}

function compileNode(node: ASTNode, scope: Scope): Step {
  switch (node.op) {
    case 'value':
      return compileLiteral(node.args, node.start);
    case 'id':
      return compileName(node.args, node.start, scope);
    case '.':
      return compileField(compile(node.args[0], scope), node.args[1]);
    case '[]':
      return compileIndex(compile(node.args[0], scope), compile(node.args[1], scope));
    case 'list':
      return compileList(node.args.map((item) => compile(item, scope)));
    case '&&':
    case '||':
      return compileLogic(node.op === '||', compile(node.args[0], scope), compile(node.args[1], scope));
    case '?:':
      return compileChoice(node.args.map((part) => compile(part, scope)));
    case '!_':
      return compileUnary(compile(node.args, scope), 'boolean', (value) => !value);
    case '-_':
      return compileUnary(compile(node.args, scope), 'number', (value) => -Number(value));
    case 'call':
      return compileCall(node.args[0], node.args[1], node.start, scope);
    case 'rcall':
      return compileMethod(node.args[0], node.args[1], node.args[2], node.start, scope);
    case 'map':
    case '.?':
    case '[?]':
      throw new FilterError('maps and optional fields cannot be written in a filter', node.start);
    default:
      return compileBinary(node.op, compile(node.args[0], scope), compile(node.args[1], scope));
  }
}

function compileLiteral(value: unknown, at: number): Step {
  const literal = typeof value === 'bigint' ? Number(value) : value;
  if (literal === null || ['string', 'number', 'boolean'].includes(typeof literal)) {
    return () => literal as Json;
  }
  throw new FilterError('bytes and unsigned numbers cannot be written in a filter', at);
}

function compileName(name: string, at: number, scope: Scope): Step {
  if (name === scope.local) return (run) => run.item;
  if (!scope.rules.variables.includes(name)) {
    throw new FilterError(`there is no '${name}'`, at);
  }
  return (run) => run.variables[name] ?? null;
}

function compileField(object: Step, name: string): Step {
  const missing = fault(`there is no field '${name}'`);
  return (run) => {
    const value = object(run);
    if (isFault(value)) return value;
    if (!isRecord(value) || !Object.hasOwn(value, name)) return missing;
    return value[name] ?? null;
  };
}

function compileIndex(object: Step, index: Step): Step {
  return (run) => {
    const value = object(run);
    if (isFault(value)) return value;
    const key = index(run);
    if (isFault(key)) return key;
    if (Array.isArray(value) && typeof key === 'number' && Number.isInteger(key)) {
      return key >= 0 && key < value.length ? (value[key] ?? null) : fault(`there is no item ${key}`);
    }
    if (isRecord(value) && typeof key === 'string') {
      return Object.hasOwn(value, key) ? (value[key] ?? null) : fault('there is no field of that name');
    }
    return fault(`a ${kindOf(value)} has no item for a ${kindOf(key)}`);
  };
}

function compileList(items: Step[]): Step {
  return (run) => {
    const list: Json[] = [];
    for (const item of items) {
      const value = item(run);
      if (isFault(value)) return value;
      list.push(value);
    }
    return list;
  };
}

/** As CEL has it: one side that settles the answer settles it, even when the other cannot be evaluated. */
function compileLogic(settles: boolean, left: Step, right: Step): Step {
  return (run) => {
    const first = left(run);
    if (first === settles) return settles;
    const second = right(run);
    if (second === settles) return settles;
    if (isFault(first)) return first;
    if (isFault(second)) return second;
    if (typeof first === 'boolean' && typeof second === 'boolean') return !settles;
    return fault(
      `&& and || need true or false, not a ${kindOf(typeof first === 'boolean' ? second : first)}`,
    );
  };
}

function compileChoice([condition, yes, no]: Step[]): Step {
  if (!condition || !yes || !no) throw new FilterError('?: needs three parts', 0);
  return (run) => {
    const value = condition(run);
    if (isFault(value)) return value;
    if (typeof value !== 'boolean') return fault(`?: needs true or false, not a ${kindOf(value)}`);
    return value ? yes(run) : no(run);
  };
}

function compileUnary(operand: Step, kind: 'boolean' | 'number', apply: (value: Json) => Json): Step {
  return (run) => {
    const value = operand(run);
    if (isFault(value)) return value;
    return typeof value === kind ? apply(value) : fault(`a ${kindOf(value)} is no ${kind}`);
  };
}

function compileBinary(operator: string, left: Step, right: Step): Step {
  const apply = binary(operator);
  return (run) => {
    const first = left(run);
    if (isFault(first)) return first;
    const second = right(run);
    if (isFault(second)) return second;
    return apply(first, second, run);
  };
}

function binary(operator: string): (left: Json, right: Json, run: Run) => Outcome {
  switch (operator) {
    case '==':
      return (left, right, run) => equals(left, right, run);
    case '!=':
      return (left, right, run) => !equals(left, right, run);
    case 'in':
      return (left, right, run) => contains(right, left, run);
    case '<':
      return order((sign) => sign < 0);
    case '<=':
      return order((sign) => sign <= 0);
    case '>':
      return order((sign) => sign > 0);
    case '>=':
      return order((sign) => sign >= 0);
    case '+':
      return add;
    case '-':
      return arithmetic((left, right) => left - right);
    case '*':
      return arithmetic((left, right) => left * right);
    case '/':
      return arithmetic((left, right) => left / right);
    case '%':
      return arithmetic((left, right) => left % right);
    default:
      throw new FilterError(`'${operator}' cannot be used in a filter`, 0);
  }
}

function arithmetic(apply: (left: number, right: number) => number) {
  return (left: Json, right: Json): Outcome => {
    if (typeof left !== 'number' || typeof right !== 'number') {
      return fault(`a ${kindOf(left)} and a ${kindOf(right)} cannot be calculated with`);
    }
    const result = apply(left, right);
    return Number.isFinite(result) ? result : fault('the calculation has no finite result');
  };
}

function add(left: Json, right: Json, run: Run): Outcome {
  if (typeof left === 'string' && typeof right === 'string') {
    return spend(run, left.length + right.length) ? left + right : usedUp;
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    return spend(run, left.length + right.length) ? [...left, ...right] : usedUp;
  }
  return arithmetic((first, second) => first + second)(left, right);
}
