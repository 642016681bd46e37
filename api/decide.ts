import { type ApprovalRow, getApproval } from '../db/approvals.ts';
import type { Decision } from '../domain/approval.ts';
import { settledRefusal } from '../domain/approval.ts';
import { isRefusal, refuse } from '../domain/refusal.ts';
import { type EditedContent, taskEdit } from '../domain/task.ts';
import { getTask } from '../db/tasks.ts';
import type { ApiContext, ApiDeps, Asker } from './context.ts';
import { requireAllowed } from './decision-rule.ts';
import { throwRefusal } from './problems.ts';
import { askRun } from './requests.ts';

export type DecisionWish = {
  decision: Decision;
  digest: string;
  reason: string | null;
  guidance?: string | undefined;
  acknowledgedFindings?: string[] | undefined;
  breakGlass?: boolean | undefined;
};

export type Decided = { delivered: boolean; requestId: string; approval: ApprovalRow };

/** Who asks, as the middleware found out. */
export function askerOf(c: ApiContext): Asker {
  return {
    principal: c.get('principal'),
    requestId: c.get('requestId'),
    keyId: c.get('keyId') ?? null,
    loginAtMs: c.get('loginAtMs') ?? null,
  };
}

/** When the asker logged in, as the record keeps it. */
export function loginOf({ loginAtMs = null }: Asker): Date | null {
  return loginAtMs === null ? null : new Date(loginAtMs);
}

/** What makes no sense together is refused before anything is asked. */
export function checkWish(wish: Pick<DecisionWish, 'decision' | 'guidance' | 'breakGlass'>): void {
  if (wish.guidance !== undefined && wish.decision !== 'reject')
    throwRefusal(refuse('INVALID', 'guidance goes with a rejection: it says what should be different.'));
  if (wish.breakGlass === true && wish.decision !== 'approve')
    throwRefusal(refuse('INVALID', 'breakGlass goes with an approval; rejecting needs no glass broken.'));
}

/**
 * Decides one approval for one person, from whatever route it was asked: the rule first, then the run that waits.
 * Throws the refusal; `delivered` is false while the decision is still on its way.
 */
export async function decideOne(
  deps: ApiDeps,
  asker: Asker,
  approvalId: string,
  wish: DecisionWish,
): Promise<Decided> {
  checkWish(wish);
  const { approval } = await requireAllowed(deps, approvalId, asker, () => wish);
  const asked = await askRun(
    deps,
    {
      asker,
      workflowId: approval.workflowId,
      subjectId: approval.subjectId,
      action: wish.decision,
      approvalId: approval.id,
      digest: wish.digest,
      reason: wish.reason,
      guidance: wish.guidance ?? null,
      acknowledgedFindings: wish.acknowledgedFindings ?? [],
      breakGlass: wish.breakGlass ?? false,
    },
    () => settledNow(deps, approval.id),
  );
  return { ...asked, approval: (await getApproval(deps.database.db, approval.id)) ?? approval };
}

export type EditWish = { digest: string; reason: string | null; content: EditedContent };

/** Changes the content of a task that waits; answers the approval of the new content once there is one. */
export async function editOne(
  deps: ApiDeps,
  asker: Asker,
  approvalId: string,
  { content, ...wish }: EditWish,
): Promise<Decided> {
  const { db } = deps.database;
  const { approval } = await requireAllowed(deps, approvalId, asker, () => ({
    ...wish,
    decision: 'edit' as const,
  }));
  const before = await getTask(db, approval.subjectId);
  const edited = before === null ? refuse('NOT_FOUND', 'The task is gone.') : taskEdit(before, content);
  if (isRefusal(edited)) throwRefusal(edited);
  const asked = await askRun(
    deps,
    {
      asker,
      workflowId: approval.workflowId,
      subjectId: approval.subjectId,
      action: 'edit',
      approvalId: approval.id,
      ...wish,
      content,
    },
    () => settledNow(deps, approval.id),
  );
  const task = await getTask(db, approval.subjectId);
  const current = task === null ? null : await getApproval(db, task.approvalId);
  return { ...asked, approval: current ?? approval };
}

async function settledNow(deps: ApiDeps, approvalId: string) {
  const now = await getApproval(deps.database.db, approvalId);
  return now === null ? null : settledRefusal({ ...now, decidedAt: now.decidedAt?.toISOString() ?? null });
}
