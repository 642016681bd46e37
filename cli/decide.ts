import type { Decision } from '../domain/approval.ts';
import { describeApprovers } from '../domain/approver.ts';
import { visible, visibleLines } from './escape.ts';
import type { Exit } from './exits.ts';
import { linkLine, remaining } from './format.ts';
import type { Reply } from './http.ts';
import { approvalIds, resolveId } from './ids.ts';
import { facts } from './output.ts';
import { readList } from './input.ts';
import { bodyOf, exitFor, type Session, show } from './session.ts';
import type { Decided, Delivering, InboxItem } from './views.ts';

/** Reads an approval with the whole content that a decision is bound to. */
export async function readApproval(session: Session, given: string): Promise<InboxItem> {
  const id = await resolveId(session, approvalIds, given);
  return bodyOf<InboxItem>(await session.api.get(`/v1/approvals/${id}`));
}

function personOf({ requestedBy }: InboxItem): string {
  return requestedBy.name ?? requestedBy.id;
}

/** What is about to be decided, for the person who decides it; with --json nothing, as stdout is for the answer. */
export function showContent({ out }: Session, item: InboxItem): void {
  if (out.json) return;
  const { payload, ...summary } = item.summary;
  const lines = [
    out.paint('bold', visible(item.title)),
    ...facts(out, [
      ['approval', `${item.id} (${item.state})`],
      ['task', item.taskId],
      ['asks', item.kind === 'outcome' ? 'did this run take effect?' : 'may this run?'],
      ['risk', item.risk],
      ['requested by', personOf(item)],
      ['policy', `${item.rule.policyId}, version ${item.rule.policyVersion}`],
      ['votes', votesOf(item)],
      ['stage', stageOf(item)],
      ['glass', item.rule.glassBroken === 0 ? null : `broken by ${item.rule.glassBroken} of 2`],
      ['handed over', handedOver(item)],
      ['reminded', item.reminders === 0 ? null : `${item.reminders} times`],
      ['escalated', item.escalatedAt],
      ['guidance', item.guidance],
      ['closed because', item.closedBecause],
      ['expires in', item.state === 'open' ? remaining(item) : null],
      ...Object.entries(summary).map(([name, value]): [string, string] => [
        name,
        typeof value === 'string' ? value : JSON.stringify(value),
      ]),
      ['digest', item.digest],
    ]),
    out.paint('dim', 'payload'),
    visibleLines(JSON.stringify(payload ?? {}, null, 2)),
    ...item.findings.map(({ id, level, text }) =>
      out.paint(level === 'block' ? 'red' : 'yellow', visible(`${level} ${id}: ${text}`)),
    ),
  ];
  for (const line of lines) out.line(line);
}

/** How many said yes, of how many that have to. */
export function votesOf(item: { votes: { decision: Decision }[]; requiredApprovals: number }): string {
  return `${item.votes.filter(({ decision }) => decision === 'approve').length}/${item.requiredApprovals}`;
}

/** Where its policy has it asked now; nothing for one stage of anybody. */
function stageOf({ rule, state }: InboxItem): string | null {
  const { number, of, approvals, given, approvers } = rule.stage;
  const isOpenToAll = approvers.roles.length === 0 && approvers.groups.length === 0;
  if (state !== 'open' || (of === 1 && isOpenToAll)) return null;
  return `${number} of ${of}: ${given}/${approvals} by ${describeApprovers(approvers)}`;
}

function handedOver({ handovers }: InboxItem): string | null {
  const said = handovers.map(({ fromName, toName }) => `${fromName} to ${toName}`);
  return said.length === 0 ? null : said.join(', ');
}

export type Choice = {
  decision: Decision;
  digest: string;
  reason: string | undefined;
  guidance?: string | undefined;
  acknowledgedFindings?: string[] | undefined;
  breakGlass?: boolean | undefined;
};

/** Sends a decision on exactly the content that was read, and says how it was taken. */
export async function sendDecision(
  session: Session,
  item: InboxItem,
  choice: Choice,
): Promise<{ exit: Exit; decided: Decided | null }> {
  const reply = await session.api.post(`/v1/approvals/${item.id}/decision`, choice);
  show(session, reply, () => describeAnswer(session, reply));
  const exit = exitFor(session, reply);
  return { exit, decided: exit === 'ok' ? bodyOf<Decided>(reply) : null };
}

function describeAnswer({ out }: Session, reply: Reply): string[] {
  if (reply.status === 202) {
    const { requestId, temporal } = bodyOf<Delivering>(reply);
    return [`on its way: request ${visible(requestId)}`, linkLine(out, temporal)];
  }
  const { approval, outcome } = bodyOf<Decided>(reply);
  const left = outcome.state === 'open' ? `; ${outcome.votesLeft} more to go` : '';
  return [
    `${out.paint(outcome.state === 'rejected' ? 'red' : 'green', visible(outcome.state))}${left}`,
    linkLine(out, approval.temporal),
  ];
}

/** Options that say more than yes or no; the same for a decision and for its ticket. */
export const approvalArgs = {
  acknowledge: { type: 'string', valueHint: 'ID,...', description: 'Findings that were read and taken' },
  'break-glass': {
    type: 'boolean',
    description: 'Past stages and approvers, together with a second person; needs a reason',
  },
} as const;

export function approvalChoice(args: {
  acknowledge?: string | undefined;
  'break-glass'?: boolean | undefined;
}) {
  const { acknowledge, 'break-glass': breakGlass } = args;
  return {
    ...(acknowledge === undefined ? {} : { acknowledgedFindings: readList(acknowledge) }),
    ...(breakGlass === true ? { breakGlass } : {}),
  };
}
