import { canonical, type Json, type JsonObject } from './json.ts';

/*
 * Templates have no logic: `{{payload.order.id}}` or, as a JSON Pointer, `{{/payload/order/id}}` stands for a value.
 * A text that is one such place and nothing else becomes the value itself, whatever its kind.
 */
const places = /\{\{([^{}]{1,300})\}\}/g;
const onePlace = /^\{\{([^{}]{1,300})\}\}$/;
const maxTemplate = 2_000;
const maxValue = 2_000;
const maxText = 10_000;

/** Fills a text; what the facts do not have is left out of it. */
export function renderText(template: string, facts: JsonObject): string {
  const text = template.replace(places, (_all, path: string) => textOf(readPlace(facts, path)));
  return text.length > maxText ? text.slice(0, maxText) : text;
}

/** Fills every text inside a value; a member whose whole value the facts do not have is left out. */
function renderValue(mapping: Json, facts: JsonObject): Json | undefined {
  if (typeof mapping === 'string') {
    const [, path] = onePlace.exec(mapping) ?? [];
    return path === undefined ? renderText(mapping, facts) : readPlace(facts, path);
  }
  if (Array.isArray(mapping)) {
    return mapping.map((item) => renderValue(item, facts)).filter((item) => item !== undefined);
  }
  if (mapping === null || typeof mapping !== 'object') return mapping;
  return renderObject(mapping, facts);
}

export function renderObject(mapping: JsonObject, facts: JsonObject): JsonObject {
  const members = Object.entries(mapping).map(([key, value]) => [key, renderValue(value, facts)] as const);
  return Object.fromEntries(members.filter((member): member is [string, Json] => member[1] !== undefined));
}

/** A value by a dotted path or a JSON Pointer; only what an object itself holds is found. */
export function readPlace(facts: JsonObject, path: string): Json | undefined {
  let value: Json | undefined = facts;
  for (const key of stepsOf(path)) {
    if (Array.isArray(value)) value = /^\d{1,9}$/.test(key) ? value[Number(key)] : undefined;
    else if (typeof value === 'object' && value !== null && Object.hasOwn(value, key)) value = value[key];
    else return undefined;
  }
  return value;
}

function stepsOf(path: string): string[] {
  const text = path.trim();
  if (!text.startsWith('/')) return text.split('.');
  return text
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function textOf(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  const text = typeof value === 'object' ? canonical(value) : String(value);
  return text.length > maxValue ? `${text.slice(0, maxValue - 1)}…` : text;
}

/** What is wrong with the templates inside a value; null when nothing is. `roots` are the names they may begin with. */
export function templateProblem(mapping: Json, roots: readonly string[]): string | null {
  if (Array.isArray(mapping)) return firstOf(mapping.map((item) => templateProblem(item, roots)));
  if (typeof mapping === 'object' && mapping !== null)
    return firstOf(Object.values(mapping).map((item) => templateProblem(item, roots)));
  return typeof mapping === 'string' ? textProblem(mapping, roots) : null;
}

function textProblem(text: string, roots: readonly string[]): string | null {
  if (text.length > maxTemplate)
    return `a template has ${text.length} characters; ${maxTemplate} are allowed`;
  if (/\{\{|\}\}/.test(text.replace(places, '')))
    return `'${text.slice(0, 80)}' has a place that is not closed; a place is written {{payload.name}}`;
  for (const [, path = ''] of text.matchAll(places)) {
    const [root = ''] = stepsOf(path);
    if (!roots.includes(root))
      return `{{${path}}} begins with nothing known; a place begins with ${roots.join(', ')}`;
  }
  return null;
}

/** What is wrong with a path that stands alone, such as the key of a count. */
export function pathProblem(path: string, roots: readonly string[]): string | null {
  const [root = ''] = stepsOf(path);
  return roots.includes(root)
    ? null
    : `the path '${path}' begins with nothing known; it begins with ${roots.join(', ')}`;
}

function firstOf(problems: (string | null)[]): string | null {
  return problems.find((problem) => problem !== null) ?? null;
}
