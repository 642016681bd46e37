import type { Approval, LoggedEvent, Page, ProbeRun, Seen, TaskAnswer, Ticket } from './answers.ts';
import { dispatchAndCheck, findApproved } from './repair.ts';
import type { Stage } from './stage.ts';
import type { Play } from './steps.ts';
import { breakTheShop, type Actors } from './story.ts';
import { must } from './watch.ts';

/** The same once more, decided by a Temporal signal. */
export async function repairBySignal(
  stage: Stage,
  play: Play,
  actors: Actors,
  first: Approval,
): Promise<Seen<Approval>> {
  const { admin, operator, temporal, until } = stage;
  return play('a second repair is approved by signal, with a ticket', async () => {
    await breakTheShop(stage, actors);
    const failed = await admin.post<ProbeRun>(`/v1/probes/${actors.probe.id}/run`);
    must(failed.ok === false && failed.eventId !== null, 'the probe finds the shop broken again');
    const approval = await until('a new task waits in the inbox', async () => {
      const { items } = await operator.get<Page<Approval>>('/v1/approvals');
      return items[0] ?? null;
    });
    const { taskId, digest } = approval;
    must(taskId !== first.taskId, 'it is another task');
    const { id: principalId } = await operator.get<{ id: string }>('/v1/me');

    const { workflowId } = approval.temporal;
    const raw = { approvalId: approval.id, decision: 'approve', principalId, digest };
    await temporal.signal(workflowId, 'approval', raw);
    const answer = await until('the run has answered the signal without a ticket', () =>
      temporal.answerToSignal(workflowId),
    );
    must(!answer.accepted && answer.refused === 'FORBIDDEN', `it is refused (${JSON.stringify(answer)})`);
    const still = await operator.get<Approval>(`/v1/approvals/${approval.id}`);
    must(still.state === 'open' && still.votes.length === 0, 'and changes nothing');

    const ticket = await operator.post<Ticket>(`/v1/approvals/${approval.id}/tickets`, {
      decision: 'approve',
      digest,
    });
    must(ticket.workflowId === workflowId, 'the ticket is for that run');
    await temporal.signal(ticket.workflowId, ticket.signal.name, ticket.signal.input);
    await until('the signal with the ticket approves it', () =>
      findApproved(stage, approval.id, principalId),
    );
    const task = await dispatchAndCheck(stage, taskId);
    const repaired = await admin.post<ProbeRun>(`/v1/probes/${actors.probe.id}/run`);
    must(repaired.ok === true, `the probe passes again (${repaired.failures.join(', ')})`);
    return { ...approval, run: task.temporal.url };
  });
}

/** Whoever comes second learns who decided and when, and the log keeps both decisions. */
export async function decideTooLate(stage: Stage, play: Play, approvals: Seen<Approval>[]): Promise<void> {
  const { admin, operator } = stage;
  await play('a late decision is told who decided and when', async () => {
    const late = await admin.post<{ id: string }>('/v1/principals', { name: 'late', role: 'operator' });
    const { key } = await admin.post<{ key: string }>('/v1/keys', {
      principalId: late.id,
      label: 'the demo',
    });
    const decider = await operator.get<{ id: string; name: string }>('/v1/me');
    for (const { id, taskId, digest } of approvals) {
      const no = { decision: 'reject', digest };
      const { details } = await stage.as(key).refusal(409, `/v1/approvals/${id}/decision`, no);
      must(details?.decidedBy === decider.name, `the answer names ${decider.name}`);
      must(typeof details.decidedAt === 'string', 'the answer says when');
      const { task } = await operator.get<TaskAnswer>(`/v1/tasks/${taskId}`);
      must(task.state === 'success', 'the task is as it was');
      const query = `type=squad.task.approved&correlationId=${taskId}`;
      const { items } = await operator.get<Page<LoggedEvent>>(`/v1/events?${query}`);
      const [kept] = items;
      must(items.length === 1 && kept !== undefined, 'the log has the decision, once');
      must(kept.payload.by === decider.id && kept.payload.digest === digest, 'with who, and on what');
    }
    return { run: approvals.at(-1)?.run ?? null };
  });
}
