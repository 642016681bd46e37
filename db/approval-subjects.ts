import { sql, type SQL } from 'drizzle-orm';
import type { ApprovalKind } from '../domain/approval.ts';
import { eventTypes } from '../domain/events.ts';

/** What a decision does to the work it is about: more rows of the statement that records it, over `changed`. */
export type ApprovalSubject = {
  decided(state: 'approved' | 'rejected', guidance: string | null): SQL[];
  expired(): SQL[];
  events: Record<'approved' | 'rejected' | 'expired', string>;
};

/** Work whose run alone acts on the answer. */
const runActs: ApprovalSubject = {
  decided: () => [],
  expired: () => [],
  events: {
    approved: eventTypes.approvalVoted,
    rejected: eventTypes.approvalVoted,
    expired: eventTypes.approvalVoted,
  },
};

const task: ApprovalSubject = {
  decided: (state, guidance) => {
    const next = state === 'approved' ? 'pending' : 'rejected';
    return [
      sql`
        update tasks set state = ${next}, updated_at = now(), guidance = coalesce(${guidance}::text, guidance),
                         ended_at = case when ${next} = 'rejected' then now() else ended_at end
        from changed
        where tasks.id = changed.subject_id and tasks.approval_id = changed.id and tasks.state = 'pending-approval'`,
    ];
  },
  expired: () => [
    sql`
      update tasks set state = 'expired', updated_at = now(), ended_at = now()
      from changed
      where tasks.id = changed.subject_id and tasks.approval_id = changed.id and tasks.state = 'pending-approval'`,
  ],
  events: {
    approved: eventTypes.taskApproved,
    rejected: eventTypes.taskRejected,
    expired: eventTypes.taskExpired,
  },
};

export const approvalSubjects: Record<ApprovalKind, ApprovalSubject> = {
  task,
  graft: runActs,
  deployment: runActs,
  fabric: runActs,
  remedy: runActs,
  outcome: runActs,
};
