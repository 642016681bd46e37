import type { AuditEntry } from './audit.ts';
import type { Findings } from './audit-finding.ts';
import { checkGrants, namedGrant, type NamedGrant } from './audit-grants.ts';
import { classOfTarget, pairOf } from './autonomy.ts';

/*
 * What the entries mean together: a task is dispatched only under an approval of exactly its content that enough people
 * other than the requester gave before, and that was not voided since. A standing approval counts as the yes of who gave
 * the grant it names, while that was in force. Entries of releases that did not write the
 * approval down with the task are judged by what they do say.
 */
export type DecisionCheck = {
  next(entry: AuditEntry, detail: Record<string, unknown>): void;
  /** Dispatches that were judged, and those whose beginning lies before the first entry that was read. */
  counts(): { dispatches: number; unjudged: number };
};

type Task = {
  requestedBy: string;
  approvalId: string | null;
  isWhole: boolean;
  /** By HALO and not of high risk, the pair that a grant may be for. */
  pair: string | null;
};
type Approval = {
  task: string;
  /** Of the content as it is: after an edit the editor, who cannot approve it then. */
  requestedBy: string;
  digest: string | null;
  required: number;
  by: Set<string>;
  state: 'open' | 'approved' | 'closed';
  /** What it rests on, where that is not people. */
  grant?: NamedGrant;
};

const breakingGlass = 'approval.break-glass';
const approving = ['approval.approve', breakingGlass];
const closing = ['approval.reject', 'approval.expire', 'approval.withdraw'];
const replacing = ['approval.void', 'approval.edit'];

export function checkDecisions(deps: { findings: Findings; from: number }): DecisionCheck {
  const tasks = new Map<string, Task>();
  const approvals = new Map<string, Approval>();
  const owners = new Map<string, string>();
  const grants = checkGrants();
  let dispatches = 0;
  let unjudged = 0;

  const personOf = (principal: string): string => owners.get(principal) ?? principal;

  function open(id: string, task: string, detail: Record<string, unknown>): void {
    const required = typeof detail.required === 'number' ? detail.required : 1;
    const owner = tasks.get(task);
    if (owner !== undefined) owner.approvalId = id;
    const requestedBy = textOf(detail.requestedBy) ?? owner?.requestedBy ?? '';
    const digest = textOf(detail.digest);
    approvals.set(id, { task, requestedBy, digest, required, by: new Set(), state: 'open' });
  }

  function create({ subjectId, actor }: AuditEntry, detail: Record<string, unknown>): void {
    const approvalId = textOf(detail.approvalId);
    const requestedBy = textOf(detail.requestedBy) ?? actor;
    const [type, target] = [textOf(detail.type), textOf(detail.target)];
    const mayStand = actor === 'halo' && (detail.risk === 'low' || detail.risk === 'medium');
    const pair = mayStand && type !== null && target !== null ? pairOf(type, classOfTarget(target)) : null;
    tasks.set(subjectId, { requestedBy, approvalId, isWhole: approvalId !== null, pair });
    if (approvalId !== null) open(approvalId, subjectId, detail);
  }

  function approve({ subjectId, actor, action }: AuditEntry, detail: Record<string, unknown>): void {
    const taskId = textOf(detail.task) ?? '';
    const task = tasks.get(taskId);
    if (!approvals.has(subjectId) && task?.isWhole === false) open(subjectId, taskId, detail);
    const approval = approvals.get(subjectId);
    if (approval === undefined || approval.state === 'closed') return;
    approval.digest ??= textOf(detail.digest);
    if (detail.digest !== approval.digest) return;
    // Breaking the glass takes two people, whatever the policy asks for (TRUST 4.18).
    if (action === breakingGlass) approval.required = Math.min(approval.required, 2);
    if (personOf(approval.requestedBy) !== personOf(actor)) approval.by.add(personOf(actor));
    if (detail.state === 'approved') approval.state = 'approved';
  }

  /** Counts where it names a grant that was in force, of this very pair, by somebody who did not ask for it. */
  function stand({ subjectId, actor, at }: AuditEntry, detail: Record<string, unknown>): void {
    const approval = approvals.get(subjectId);
    const grant = namedGrant(detail);
    if (approval?.state !== 'open' || approval.required !== 1 || detail.digest !== approval.digest) return;
    approval.state = 'approved';
    if (actor !== 'halo' || grant === null || tasks.get(approval.task)?.pair !== grant.pair) return;
    if (grants.whyNot(grant, at) !== null || personOf(approval.requestedBy) === personOf(grant.grantor))
      return;
    approval.by.add(personOf(grant.grantor));
    approval.grant = grant;
  }

  function close(id: string): void {
    const approval = approvals.get(id);
    if (approval !== undefined) approval.state = 'closed';
  }

  function replace({ subjectId }: AuditEntry, detail: Record<string, unknown>): void {
    const task = textOf(detail.task) ?? approvals.get(subjectId)?.task ?? '';
    const next = textOf(detail.newApprovalId) ?? subjectId;
    close(subjectId);
    open(next, task, { required: approvals.get(subjectId)?.required, ...detail });
  }

  function retry({ subjectId }: AuditEntry, detail: Record<string, unknown>): void {
    const approvalId = textOf(detail.approvalId);
    if (approvalId === null || approvals.has(approvalId)) return;
    close(tasks.get(subjectId)?.approvalId ?? '');
    open(approvalId, subjectId, detail);
  }

  function whyNot(task: Task | undefined, id: string, entry: AuditEntry, digest: unknown): string | null {
    if (task === undefined) return `no entry before it creates ${entry.subjectId}`;
    const approval = approvals.get(id);
    if (approval === undefined) return `no entry before it gives the approval ${id}`;
    if (approval.task !== entry.subjectId) return `the approval ${id} is for ${approval.task}`;
    if (approval.digest !== digest) return `the approval ${id} is for another content`;
    if (approval.state === 'closed') return `the approval ${id} was rejected, voided or had expired`;
    if (approval.state === 'open') return `the approval ${id} had not been given`;
    const lapsed = approval.grant === undefined ? null : grants.whyNot(approval.grant, entry.at);
    if (lapsed !== null) return `the standing approval ${id} does not count: ${lapsed}`;
    const { size } = approval.by;
    if (size >= approval.required) return null;
    return `the approval ${id} has ${size} of ${approval.required} yeses of people other than the requester`;
  }

  function dispatch(entry: AuditEntry, detail: Record<string, unknown>): void {
    const task = tasks.get(entry.subjectId);
    const id = textOf(detail.approvalId) ?? '';
    if (deps.from > 1 && (task === undefined || !approvals.has(id))) {
      unjudged += 1;
      return;
    }
    dispatches += 1;
    const reason = whyNot(task, id, entry, detail.digest);
    if (reason === null) return;
    const sentence = `Entry ${entry.chainNo} dispatches ${entry.subjectId} without a valid decision: ${reason}.`;
    deps.findings.add({ chainNo: entry.chainNo, kind: 'dispatch-without-decision', sentence });
  }

  return {
    next(entry, detail) {
      const { action, subjectId } = entry;
      if (entry.outcome !== 'ok') return;
      grants.next(entry, detail);
      if (action === 'task.create') create(entry, detail);
      else if (approving.includes(action)) approve(entry, detail);
      else if (action === 'approval.standing') stand(entry, detail);
      else if (closing.includes(action)) close(subjectId);
      else if (replacing.includes(action)) replace(entry, detail);
      else if (action === 'task.retry') retry(entry, detail);
      else if (action === 'task.cancel') close(tasks.get(subjectId)?.approvalId ?? '');
      else if (action === 'task.dispatch') dispatch(entry, detail);
      else if (action === 'principal.create' && typeof detail.owner === 'string')
        owners.set(subjectId, detail.owner);
    },
    counts: () => ({ dispatches, unjudged }),
  };
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
