import { canonical, type Json, type JsonObject } from './json.ts';
import { type Risk, risks } from './task.ts';

/** What of two proposals for the same fix can differ. */
export type Proposed = {
  type: string;
  title: string;
  target: string;
  payload: JsonObject;
  targetRole: string;
  severity: string;
  risk: Risk;
  reversible: boolean;
  dispatchMode: string;
  timeoutMs: number;
};

/** One member in which a later proposal differs from the open one, each value as the beginning of its JSON. */
export type Difference = { member: string; open: string; proposed: string };

const shownLength = 120;
const mostDifferences = 30;

function shown(value: Json | undefined): string {
  const text = value === undefined ? 'nothing' : canonical(value);
  return text.length > shownLength ? `${text.slice(0, shownLength).toWellFormed()}…` : text;
}

function compare(member: string, open: Json | undefined, proposed: Json | undefined): Difference[] {
  const isSame =
    open !== undefined && proposed !== undefined
      ? canonical(open) === canonical(proposed)
      : open === proposed;
  return isSame ? [] : [{ member, open: shown(open), proposed: shown(proposed) }];
}

const members = [
  'risk',
  'type',
  'target',
  'title',
  'targetRole',
  'severity',
  'reversible',
  'dispatchMode',
  'timeoutMs',
] as const;

/**
 * A later proposal with the same fingerprint joins the open one and changes nothing of it: the people who look at the
 * open one saw that content. Whoever proposed is told in what theirs is different, the payload member by member.
 */
export function foldDifferences(open: Proposed, proposed: Proposed): Difference[] {
  const keys = [...new Set([...Object.keys(open.payload), ...Object.keys(proposed.payload)])].sort();
  return [
    ...members.flatMap((member) => compare(member, open[member], proposed[member])),
    ...keys.flatMap((key) => compare(`payload.${key}`, open.payload[key], proposed.payload[key])),
  ].slice(0, mostDifferences);
}

/** True where a later proposal holds the same fix for more dangerous than the open one says. */
export function isRiskier(open: Risk, proposed: Risk): boolean {
  return risks.indexOf(proposed) > risks.indexOf(open);
}

/** One line for the log of the task, null where nothing differs. */
export function describeFold(by: string, differences: readonly Difference[]): string | null {
  if (differences.length === 0) return null;
  const parts = differences.map(
    ({ member, open, proposed }) => `${member} is ${open}, theirs has ${proposed}`,
  );
  return `${by} proposed this again, and differently; the open proposal stands as it is. ${parts.join('; ')}`.slice(
    0,
    2000,
  );
}
