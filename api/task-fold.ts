import { findAuditDetail } from '../db/audit.ts';
import type { Db } from '../db/client.ts';
import type { NewTask } from '../db/task-create.ts';
import { findOpenTask, foldProposal } from '../db/task-fold.ts';
import { isPermitted, type Principal } from '../domain/access.ts';
import { refuse, type Refusal } from '../domain/refusal.ts';
import { type Difference, foldDifferences } from '../domain/task-fold.ts';

/** What became of a proposal: a task of its own, or the open one that it joined. */
export type Stored = { id: string; isNew: boolean; folded: boolean; differs: Difference[] };

export type Folding = { task: NewTask; principal: Principal; requestDigest: string; opKey: string };

type FoldDetail = { requestDigest: string; taskId: string; differs: Difference[] };

/** The same request once more, which joined a task the first time; a refusal where its key came with another body. */
export async function joinedBefore(db: Db, folding: Folding): Promise<Stored | Refusal | null> {
  if (folding.task.fingerprint === null) return null;
  // Written by db/task-fold.ts, which states all of these.
  const earlier = (await findAuditDetail(db, folding.opKey)) as FoldDetail | null;
  if (earlier === null) return null;
  if (earlier.requestDigest !== folding.requestDigest)
    return refuse('CONFLICT', 'This Idempotency-Key was used for another body.');
  return { id: earlier.taskId, isNew: false, folded: true, differs: earlier.differs };
}

/** Joins the open task of the fingerprint; null where there is none any more. */
export async function joinOpenTask(db: Db, folding: Folding): Promise<Stored | Refusal | null> {
  const { task, principal, requestDigest, opKey } = folding;
  if (task.fingerprint === null) return null;
  const open = await findOpenTask(db, task.fingerprint);
  if (open === null || open.id === task.id) return null;
  if (!isPermitted(principal, 'tasks:write', open.target))
    return refuse('CONFLICT', 'An open task has this fingerprint, and its target is out of your reach.');
  const differs = foldDifferences(open, task);
  const { risk, evidence } = task;
  const outcome = await foldProposal(db, {
    ...{ open, risk, evidence, differs, requestDigest, opKey },
    by: { id: principal.id, name: principal.name },
  });
  if (outcome.status === 'repeated') return joinedBefore(db, folding);
  return outcome.status === 'unchanged' ? null : { id: open.id, isNew: false, folded: true, differs };
}
