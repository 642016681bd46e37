import { createRoute, z } from '@hono/zod-openapi';
import { findAgentByPrincipal } from '../../db/agents.ts';
import { retryTask } from '../../db/task-retry.ts';
import { reportProgress, type TaskRow } from '../../db/tasks.ts';
import { isRefusal, refuse, type Refusal } from '../../domain/refusal.ts';
import { isEnded } from '../../domain/task.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps, Asker } from '../context.ts';
import { askerOf } from '../decide.ts';
import { throwRefusal } from '../problems.ts';
import { askRun } from '../requests.ts';
import { answer, body, deliveringSchema, idParams, optionalBody, reason, temporalLink } from '../schemas.ts';
import { taskWhole, taskWholeSchema } from '../views.ts';
import { startRun } from './task-create.ts';
import { requireTask, requireTaskFor } from './tasks.ts';

const taskAnswer = z.object({ task: taskWholeSchema });

const dispatch = createRoute({
  method: 'post',
  path: '/v1/tasks/{id}/dispatch',
  tags: ['tasks'],
  summary: 'Hands an approved task to its agent',
  ...guard('tasks:dispatch'),
  request: { params: idParams, body: optionalBody(z.strictObject({})) },
  responses: {
    200: answer('The task is running.', taskAnswer),
    202: answer('The request is stored and on its way to the run.', deliveringSchema),
  },
});

const cancel = createRoute({
  method: 'post',
  path: '/v1/tasks/{id}/cancel',
  tags: ['tasks'],
  summary: 'Cancels a task that has not ended',
  ...guard('tasks:dispatch'),
  request: { params: idParams, body: optionalBody(z.strictObject({ reason: reason.optional() })) },
  responses: {
    200: answer('The task is cancelled.', taskAnswer),
    202: answer('The request is stored and on its way to the run.', deliveringSchema),
  },
});

const retry = createRoute({
  method: 'post',
  path: '/v1/tasks/{id}/retry',
  tags: ['tasks'],
  summary: 'Runs a failed task again; its approval stands only for unchanged content',
  ...guard('tasks:dispatch'),
  request: { params: idParams, body: optionalBody(z.strictObject({})) },
  responses: {
    200: answer('A new run of the task has begun.', taskAnswer),
    202: answer('The new run starts once Temporal answers again.', taskAnswer),
  },
});

const progress = createRoute({
  method: 'post',
  path: '/v1/tasks/{id}/progress',
  tags: ['tasks'],
  summary: 'How far the agent of a running task is',
  ...guard('tasks:progress'),
  request: {
    params: idParams,
    body: body(
      z.strictObject({
        attempt: z.number().int().min(1).max(1000),
        fraction: z.number().min(0).max(1),
        message: z.string().max(2000),
      }),
    ),
  },
  responses: { 200: answer('The progress is kept.', z.object({ recorded: z.literal(true) })) },
});

const states = {
  dispatch: (task: TaskRow): Refusal | null =>
    task.state === 'pending'
      ? null
      : refuse('CONFLICT', `The task is ${task.state}; only a pending task can be dispatched.`, {
          state: task.state,
        }),
  cancel: (task: TaskRow): Refusal | null =>
    isEnded(task.state)
      ? refuse('CONFLICT', `The task is already ${task.state}; there is nothing to cancel.`, {
          state: task.state,
        })
      : null,
};

export function addTaskActionRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  async function ask(
    action: 'dispatch' | 'cancel',
    id: string,
    asker: Asker,
    why: string | null,
  ): Promise<{ task: TaskRow; requestId: string; delivered: boolean }> {
    const task = await requireTaskFor(deps, asker.principal, id, 'tasks:dispatch');
    const early = states[action](task);
    if (early !== null) throwRefusal(early);
    const { workflowId } = task;
    const asked = await askRun(
      deps,
      { asker, workflowId, subjectId: id, action, approvalId: null, digest: null, reason: why },
      async () => states[action](await requireTask(deps, id)),
    );
    return { ...asked, task: await requireTask(deps, id) };
  }

  function delivering(asked: { task: TaskRow; requestId: string }) {
    return {
      status: 'accepted-for-delivery' as const,
      requestId: asked.requestId,
      temporal: temporalLink(deps, asked.task.workflowId, asked.task.runId),
    };
  }

  app.openapi(dispatch, async (c) => {
    const asked = await ask('dispatch', c.req.valid('param').id, askerOf(c), null);
    if (!asked.delivered) return c.json(delivering(asked), 202);
    return c.json({ task: taskWhole(deps, asked.task) }, 200);
  });

  app.openapi(cancel, async (c) => {
    const why = c.req.valid('json').reason ?? null;
    const asked = await ask('cancel', c.req.valid('param').id, askerOf(c), why);
    if (!asked.delivered) return c.json(delivering(asked), 202);
    return c.json({ task: taskWhole(deps, asked.task) }, 200);
  });

  app.openapi(retry, async (c) => {
    const { id: actor } = c.get('principal');
    const before = await requireTaskFor(deps, c.get('principal'), c.req.valid('param').id, 'tasks:dispatch');
    // Two people who retry the same failed run make one new run: the second is answered with the first one's.
    const opKey = `task.retry:${before.id}:${before.run}`;
    const retried = await retryTask(db, { taskId: before.id, actor, opKey });
    if (isRefusal(retried)) throwRefusal(retried);
    const task = await requireTask(deps, before.id);
    const { started, runId } = await startRun(deps, task);
    return c.json({ task: taskWhole(deps, { ...task, runId }) }, started ? 200 : 202);
  });

  app.openapi(progress, async (c) => {
    const principal = c.get('principal');
    // Before the task, so that another agent's task costs as much as one that does not exist.
    const agent = await findAgentByPrincipal(db, principal.id);
    const task = await requireTaskFor(deps, principal, c.req.valid('param').id, 'tasks:progress');
    if (agent === null || task.agentId !== agent.id)
      throwRefusal(refuse('NOT_FOUND', `There is no task ${task.id}.`));
    const said = c.req.valid('json');
    const isKept = await reportProgress(db, { taskId: task.id, ...said });
    if (!isKept)
      throwRefusal(
        refuse('CONFLICT', `Attempt ${said.attempt} of this task is not running.`, {
          state: task.state,
          attempt: task.attempt,
        }),
      );
    return c.json({ recorded: true as const }, 200);
  });
}
