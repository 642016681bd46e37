import { visible } from './escape.ts';
import type { Exit } from './exits.ts';
import { instant, linkLine } from './format.ts';
import { facts } from './output.ts';
import { bodyOf, exitFor, type Session, show } from './session.ts';
import type { Delivering, Task } from './views.ts';

/** Asks the run of a task for something and shows the task as it is then. */
export async function actOnTask(
  session: Session,
  id: string,
  action: 'dispatch' | 'cancel',
  body: object,
): Promise<Exit> {
  const reply = await session.api.post(`/v1/tasks/${id}/${action}`, body);
  show(session, reply, () => {
    if (reply.status === 202) {
      const { requestId, temporal } = bodyOf<Delivering>(reply);
      return [`on its way: request ${visible(requestId)}`, linkLine(session.out, temporal)];
    }
    return describeTask(session, bodyOf<{ task: Task }>(reply).task);
  });
  return exitFor(session, reply);
}

/** A task in a few lines. */
export function describeTask({ out }: Session, task: Task): string[] {
  const done =
    task.progress === null ? null : `${Math.round(task.progress.fraction * 100)}% ${task.progress.message}`;
  return [
    out.paint('bold', visible(task.title)),
    ...facts(out, [
      ['task', task.id],
      ['state', task.outcomeUnknown ? `${task.state} (outcome unknown: see inbox)` : task.state],
      ['type', task.type],
      ['target', task.target],
      ['risk', task.risk],
      ['reaches', (task.blastRadius ?? 0) === 0 ? null : `${task.blastRadius} other entities`],
      ['origin', `${task.origin}, requested by ${task.requestedBy}`],
      ['agent', task.agentId ?? `none yet (${task.targetRole})`],
      ['dispatch', task.dispatchMode],
      ['attempt', `${task.attempt} (run ${task.run})`],
      ['approval', task.approvalId],
      ['priority', `${task.priority} (score ${Number(task.score.toFixed(1))})`],
      ['squad', task.squad],
      ['part of', task.parentId],
      ['depends on', task.dependsOn.length === 0 ? null : task.dependsOn.join(' ')],
      ['not before', task.notBefore === null ? null : instant(task.notBefore)],
      ['due', task.dueAt === null ? null : instant(task.dueAt)],
      ['waits for', task.waitsFor],
      [
        'superseded',
        task.supersededBy === null ? null : `by ${task.supersededBy}: ${task.supersededBecause}`,
      ],
      ['progress', done],
      ['error', task.error],
    ]),
    linkLine(out, task.temporal),
  ];
}
