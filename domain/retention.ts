import { refuse, type Refusal } from './refusal.ts';

/** How long events of some types are kept; `types` is a whole type, or the beginning of one with a `*` behind it. */
export type RetentionRule = { types: string; keepDays: number };

/** What a run of the retention removed. */
export type RetentionCounts = {
  /** Whole months. */
  partitions: { name: string; events: number }[];
  /** Single events whose rule is shorter than the longest. */
  events: number;
  /** Ids that were remembered to know a repeated event by. */
  keys: number;
};

const everything = '*';
const defaultKeepDays = 90;
const maxRules = 100;

/** The rules name each pattern once, and have one for everything. */
export function refuseRules(rules: readonly RetentionRule[]): Refusal | null {
  if (rules.length > maxRules)
    return refuse('INVALID', `rules: ${rules.length} are too many; at most ${maxRules}.`);
  const seen = new Set<string>();
  for (const { types } of rules) {
    if (seen.has(types)) return refuse('INVALID', `rules: there are two for ${types}; one has to go.`);
    seen.add(types);
  }
  if (!seen.has(everything))
    return refuse(
      'INVALID',
      `rules: one for everything is missing; add {"types": "*", "keepDays": ${defaultKeepDays}}.`,
    );
  return null;
}

/** Whether a run removed anything: only then it is told and audited. */
export function hasRemoved({ partitions, events, keys }: RetentionCounts): boolean {
  return partitions.length > 0 || events > 0 || keys > 0;
}
