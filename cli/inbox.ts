import type { ArgsDef } from 'citty';
import { approvalKinds } from '../domain/approval.ts';
import { risks } from '../domain/task.ts';
import { votesOf } from './decide.ts';
import { duration, marked, remaining } from './format.ts';
import { type Cell, type Output, table } from './output.ts';
import type { InboxItem, Results } from './views.ts';

/** Options by which approvals are chosen, for a list and for a decision on many. */
export const filterArgs = {
  kind: { type: 'enum', options: [...approvalKinds], description: 'Only this kind' },
  risk: { type: 'enum', options: [...risks], description: 'Only this risk' },
  target: { type: 'string', valueHint: 'TARGET', description: 'Only this target; probe:* for its beginning' },
  type: {
    type: 'string',
    valueHint: 'TYPE',
    description: 'Only this type of work; repair.* for its beginning',
  },
  'requested-by': { type: 'string', valueHint: 'ID', description: 'Only what this principal asked for' },
  'older-than': { type: 'string', valueHint: 'TIME', description: 'Waits longer than 90s, 30m, 2h or 3d' },
  'expires-within': { type: 'string', valueHint: 'TIME', description: 'Ends within 30m, 2h or 3d' },
  text: { type: 'string', valueHint: 'TEXT', description: 'Only titles with this text' },
} as const satisfies ArgsDef;

type FilterGiven = {
  kind?: string;
  risk?: string;
  target?: string;
  type?: string;
  'requested-by'?: string;
  'older-than'?: string;
  'expires-within'?: string;
  text?: string;
};

/** The same options as members of a query or a body. */
export function filterOf(args: FilterGiven): Record<string, string | undefined> {
  const { kind, risk, target, type, text } = args;
  return {
    ...{ kind, risk, target, type, text },
    requestedBy: args['requested-by'],
    olderThan: args['older-than'],
    expiresWithin: args['expires-within'],
  };
}

function resultsText({ succeeded, failed, unknown, rejected }: Results): string {
  const parts: [number, string][] = [
    [succeeded, 'ok'],
    [failed, 'failed'],
    [unknown, 'unknown'],
    [rejected, 'rejected'],
  ];
  return parts
    .filter(([count]) => count > 0)
    .map(([count, word]) => `${count} ${word}`)
    .join(', ');
}

/** What became of the same action before: on this target, and in brackets anywhere. */
function pastOf({ here, anywhere, verdicts }: InboxItem['pastResults']): string {
  const all = resultsText(anywhere);
  if (all === '') return 'first time';
  const { helped = 0, didNotHelp = 0 } = verdicts?.here ?? {};
  const judged = helped + didNotHelp === 0 ? '' : `; helped ${helped} of ${helped + didNotHelp}`;
  return `${resultsText(here) || 'none here'}${judged} (anywhere: ${all})`;
}

const heads = ['ID', 'AGE', 'EXPIRES IN', 'RISK', 'TITLE', 'TARGET', 'REVERSIBLE', 'VOTES', 'PAST RESULTS'];

function rowOf(item: InboxItem): Cell[] {
  const reach = (item.blastRadius ?? 0) > 0 ? ` (reaches ${item.blastRadius} more)` : '';
  const others = item.groupSize > 1 ? ` (${item.groupSize} proposals)` : '';
  return [
    item.id,
    duration(item.ageSeconds),
    item.state === 'open' ? remaining(item) : item.state,
    marked(item.risk),
    `${item.title}${others}`,
    `${item.touches.target}${reach}`,
    item.reversible ? 'yes' : 'no',
    votesOf(item),
    pastOf(item.pastResults),
  ];
}

export function inboxTable(out: Output, items: InboxItem[]): string[] {
  return items.length === 0 ? ['Nothing waits.'] : table(out, heads, items.map(rowOf));
}

/** One approval in one line, for a list that is read as it grows. */
export function inboxLine(item: InboxItem): string {
  const age = duration(item.ageSeconds);
  return `${item.id}  ${item.risk}  ${age}  ${item.title}  ${item.touches.target}  ${pastOf(item.pastResults)}`;
}
