import type { Approval, Cycle, ProbeRun, Seen, Task, TaskAnswer } from './answers.ts';
import type { Stage } from './stage.ts';
import type { Play } from './steps.ts';
import type { Actors } from './story.ts';
import { isRunning, must } from './watch.ts';

/** From the question in the inbox to a service that works again. */
export async function repairWithApproval(
  stage: Stage,
  play: Play,
  actors: Actors,
  approval: Seen<Approval>,
): Promise<void> {
  const { admin, operator, until } = stage;
  const decisionPath = `/v1/approvals/${approval.id}/decision`;
  const yes = { decision: 'approve', digest: approval.digest };
  const { run } = approval;

  await play("neither the requester's own yes nor the agent's counts", async () => {
    const own = await admin.refusal(403, decisionPath, yes);
    must(own.detail.includes('four-eyes'), `the requester is told why: ${own.detail}`);
    await stage.as(actors.agentKey).refusal(403, decisionPath, yes);
    const { state, votes } = await operator.get<Approval>(`/v1/approvals/${approval.id}`);
    must(state === 'open' && votes.length === 0, 'the question is still open, without a vote');
    return { run };
  });

  await play('the operator approves exactly what they saw', async () => {
    const { id } = await operator.get<{ id: string }>('/v1/me');
    await operator.post(decisionPath, yes);
    await until('the approval is recorded', () => findApproved(stage, approval.id, id));
    return { run };
  });

  await play('the agent really restarts the service, once', async () => {
    await dispatchAndCheck(stage, approval.taskId);
    return { run };
  });

  await play('the next probe passes, and HALO finds nothing more', async () => {
    const { ok, failures } = await admin.post<ProbeRun>(`/v1/probes/${actors.probe.id}/run`);
    must(ok === true, `the probe passes (${failures.join(', ')})`);
    const { cycleId } = await operator.post<{ cycleId: string }>('/v1/halo/cycles');
    const cycle = await until('the cycle asked for is completed', async () => {
      const { items } = await operator.get<{ items: Cycle[] }>('/v1/halo/cycles');
      return items.find(({ id, state }) => id === cycleId && state === 'completed') ?? null;
    });
    must(cycle.weakPoints.length === 0 && cycle.taskIds.length === 0, 'HALO finds no weak point any more');
    return { run: cycle.temporal.url };
  });
}

/** The approval, once this person's yes is what approved it. */
export async function findApproved(stage: Stage, id: string, principalId: string): Promise<Approval | null> {
  const approval = await stage.operator.get<Approval>(`/v1/approvals/${id}`);
  if (approval.state !== 'approved') return null;
  const isTheirs = approval.votes.some((vote) => vote.principalId === principalId);
  must(isTheirs, `the vote on record is that of ${principalId}`);
  return approval;
}

/** Dispatches an approved task; true only when the shop is another process afterwards, by one effect. */
export async function dispatchAndCheck(stage: Stage, taskId: string): Promise<Task> {
  const { operator, shop, until } = stage;
  const before = shop.pid();
  await operator.post(`/v1/tasks/${taskId}/dispatch`);
  const { task, attempts } = await until('the task has ended', async () => {
    const answer = await operator.get<TaskAnswer>(`/v1/tasks/${taskId}`);
    return ['pending', 'running'].includes(answer.task.state) ? null : answer;
  });
  must(task.state === 'success', `the task succeeds, and is not ${task.state} (${task.error})`);
  const after = shop.pid();
  must(before !== null && after !== null && after !== before, 'the shop is another process than before');
  must(!isRunning(before) && isRunning(after), 'the old process is gone, the new one runs');
  must(task.result?.pid === after, `the agent speaks of process ${after} too`);
  const [attempt] = attempts;
  must(attempts.length === 1 && attempt?.state === 'succeeded', 'one attempt was made, and succeeded');
  const effects = stage.effects().filter((key) => key === attempt.key);
  must(effects.length === 1, `its effect happened once, and not ${effects.length} times`);
  return task;
}
