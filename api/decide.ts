import { type ApprovalRow, getApproval } from '../db/approvals.ts';
import type { Decision } from '../domain/approval.ts';
import type { ApiContext, ApiDeps, Asker } from './context.ts';
import { requireAllowed, settledRefusal } from './decision-rule.ts';
import { askRun } from './requests.ts';

export type DecisionWish = {
  decision: Decision;
  digest: string;
  reason: string | null;
  guidance?: string;
  acknowledgedFindings?: string[];
  breakGlass?: boolean;
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
  const { db } = deps.database;
  const { approval } = await requireAllowed(deps, approvalId, asker, () => wish);
  const asked = await askRun(
    deps,
    {
      principal: asker.principal,
      workflowId: approval.workflowId,
      subjectId: approval.subjectId,
      action: wish.decision,
      approvalId: approval.id,
      digest: wish.digest,
      reason: wish.reason,
    },
    async () => {
      const now = await getApproval(db, approval.id);
      return now === null ? null : settledRefusal(now);
    },
  );
  return { ...asked, approval: (await getApproval(db, approval.id)) ?? approval };
}
