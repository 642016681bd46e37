import type { CommandDef } from 'citty';
import { taskOrigins, taskStates } from '../../domain/task.ts';
import { command } from '../command.ts';
import { visible, visibleLines } from '../escape.ts';
import { hintMore, instant, marked, pageArgs } from '../format.ts';
import { resolveId, taskIds } from '../ids.ts';
import { table } from '../output.ts';
import { bodyOf, type Session, show } from '../session.ts';
import { actOnTask, describeTask } from '../task-action.ts';
import type { Page, Task, TaskShown } from '../views.ts';
import { createCommand } from './task-create.ts';
import { logsCommand } from './task-logs.ts';

const id = {
  type: 'positional',
  required: true,
  description: 'Task, or at least 6 characters of its id',
} as const;

const showCommand = command({
  name: 'show',
  about: 'A task with its approval, attempts, payload and result',
  args: { id },
  run: async (session, args) => {
    const reply = await session.api.get(`/v1/tasks/${await resolveId(session, taskIds, args.id)}`);
    show(session, reply, () => describeWhole(session, bodyOf<TaskShown>(reply)));
    return 'ok';
  },
});

function describeWhole(
  session: Session,
  { task, approval, attempts, children, choice }: TaskShown,
): string[] {
  const { out } = session;
  const decided = approval?.decidedBy ? ` by ${approval.decidedBy}` : '';
  return [
    ...describeTask(session, task),
    ...(approval === null ? [] : [`approval ${visible(`${approval.id} is ${approval.state}${decided}`)}`]),
    ...(choice === null ? [] : [visible(`agent chosen: ${choice.because}`)]),
    ...(children.total === 0
      ? []
      : [`parts: ${children.done} of ${children.total} done, ${Math.round((children.share ?? 0) * 100)}%`]),
    ...attempts.map((each) =>
      visible(
        `attempt ${each.attempt}: ${each.state}, ${each.executor} of ${each.agentId}, ${instant(each.startedAt)}`,
      ),
    ),
    out.paint('dim', 'payload'),
    visibleLines(JSON.stringify(task.payload, null, 2)),
    ...(task.result === null
      ? []
      : [out.paint('dim', 'result'), visibleLines(JSON.stringify(task.result, null, 2))]),
  ];
}

const listCommand = command({
  name: 'list',
  about: 'Tasks, newest first, or by priority score or due date',
  args: {
    state: { type: 'enum', options: [...taskStates], description: 'Only this state' },
    origin: { type: 'enum', options: [...taskOrigins], description: 'Only from here' },
    target: { type: 'string', valueHint: 'TARGET', description: 'Only for this target' },
    squad: { type: 'string', valueHint: 'NAME', description: 'Only of this squad' },
    parent: { type: 'string', valueHint: 'ID', description: 'Only parts of this task' },
    order: { type: 'enum', options: ['newest', 'priority', 'due'], description: 'What comes first' },
    ...pageArgs,
  },
  run: async (session, { parent: parentId, ...query }) => {
    const { state, origin, target, squad, order, limit, cursor } = query;
    const asked = { state, origin, target, squad, parentId, order, limit, cursor };
    const reply = await session.api.get('/v1/tasks', asked);
    const page = bodyOf<Page<Task>>(reply);
    const heads = ['ID', 'STATE', 'RISK', 'PRIORITY', 'TITLE', 'TARGET', 'AGENT', 'CREATED'];
    const rows = page.items.map((task) => [
      ...[
        task.id,
        marked(task.state),
        marked(task.risk),
        `${task.priority} ${Number(task.score.toFixed(1))}`,
      ],
      ...[task.title, task.target, task.agentId ?? '-'],
      instant(task.createdAt),
    ]);
    show(session, reply, () => (rows.length === 0 ? ['No tasks.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});

const dispatchCommand = command({
  name: 'dispatch',
  about: 'Hand an approved task to its agent',
  args: { id },
  run: async (session, args) =>
    actOnTask(session, await resolveId(session, taskIds, args.id), 'dispatch', {}),
});

const cancelCommand = command({
  name: 'cancel',
  about: 'Cancel a task that has not ended',
  args: { id, reason: { type: 'string', valueHint: 'TEXT', description: 'Why' } },
  run: async (session, args) =>
    actOnTask(session, await resolveId(session, taskIds, args.id), 'cancel', { reason: args.reason }),
});

const retryCommand = command({
  name: 'retry',
  about: 'Run a failed task again; its approval stands only for unchanged content',
  args: { id },
  run: async (session, args) => {
    const reply = await session.api.post(`/v1/tasks/${await resolveId(session, taskIds, args.id)}/retry`, {});
    const { task } = bodyOf<{ task: Task }>(reply);
    show(session, reply, () => describeTask(session, task));
    if (reply.status === 202) session.out.hint('Stored; its run starts once Temporal answers again.');
    if (task.state === 'pending')
      session.out.hint(`Its approval stands. Next: dreamnet task dispatch ${task.id}`);
    return 'ok';
  },
});

export const taskCommands: Record<string, CommandDef> = {
  show: showCommand,
  list: listCommand,
  create: createCommand,
  dispatch: dispatchCommand,
  retry: retryCommand,
  cancel: cancelCommand,
  logs: logsCommand,
};
