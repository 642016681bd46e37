import { createRoute, z } from '@hono/zod-openapi';
import { type ApprovalRow, getApproval } from '../../db/approvals.ts';
import {
  childProgress,
  getTask,
  listTaskAttempts,
  listTaskLogs,
  listTasks,
  listTasksBy,
  type TaskRow,
} from '../../db/tasks.ts';
import { agentStates } from '../../domain/agent.ts';
import { approvalKinds, approvalStates } from '../../domain/approval.ts';
import type { Permission, Principal } from '../../domain/access.ts';
import { refuse } from '../../domain/refusal.ts';
import { scopesOf } from '../../domain/scope.ts';
import { taskOrigins, taskStates } from '../../domain/task.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { requireObject } from '../object-scope.ts';
import { cutPage, decodeCursor, idPlace, orderedPlace, pageOf, pageQuery, timePlace } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, idParams, instant, queryText } from '../schemas.ts';
import { attemptSchema, attemptView, taskSchema, taskView, taskWhole, taskWholeSchema } from '../views.ts';

const approvalBrief = z.object({
  id: z.string(),
  kind: z.enum(approvalKinds),
  state: z.enum(approvalStates),
  digest: z.string(),
  requiredApprovals: z.number(),
  votes: z.number(),
  decidedBy: z.string().nullable(),
  expiresAt: instant,
});

function briefly(row: ApprovalRow): z.infer<typeof approvalBrief> {
  const { votes, requiredApprovals, digest, state } = row;
  return {
    id: row.id,
    kind: row.kind,
    state,
    digest,
    requiredApprovals,
    votes: votes.length,
    decidedBy: votes.at(-1)?.name ?? null,
    expiresAt: row.expiresAt.toISOString(),
  };
}

const list = createRoute({
  method: 'get',
  path: '/v1/tasks',
  tags: ['tasks'],
  summary: 'Tasks, newest first, or by priority score or due date',
  ...guard('tasks:read'),
  request: {
    query: z.strictObject({
      ...pageQuery,
      state: z.enum(taskStates).optional(),
      origin: z.enum(taskOrigins).optional(),
      target: queryText(200).optional(),
      squad: queryText(100).optional(),
      parentId: queryText(100).optional(),
      order: z.enum(['newest', 'priority', 'due']).default('newest'),
    }),
  },
  responses: { 200: answer('One page of tasks.', pageOf(taskSchema)) },
});

const one = createRoute({
  method: 'get',
  path: '/v1/tasks/{id}',
  tags: ['tasks'],
  summary: 'A task with its approval and its attempts',
  ...guard('tasks:read'),
  request: { params: idParams },
  responses: {
    200: answer(
      'The task.',
      z.object({
        task: taskWholeSchema,
        approval: approvalBrief.nullable(),
        attempts: z.array(attemptSchema),
        children: z.object({
          total: z.number(),
          ended: z.number(),
          done: z.number(),
          share: z.number().nullable(),
        }),
        choice: z
          .object({
            because: z.string(),
            standings: z.array(
              z.object({
                agentId: z.string(),
                name: z.string(),
                state: z.enum(agentStates),
                inSquad: z.boolean(),
                running: z.number(),
                maxConcurrency: z.number(),
                path: z.number(),
                score: z.number(),
              }),
            ),
          })
          .nullable(),
      }),
    ),
  },
});

const logLine = z.object({
  id: z.number(),
  attempt: z.number(),
  at: instant,
  level: z.enum(['info', 'warning', 'error']),
  message: z.string(),
});

const logs = createRoute({
  method: 'get',
  path: '/v1/tasks/{id}/logs',
  tags: ['tasks'],
  summary: 'What the attempts of a task reported, oldest first',
  ...guard('tasks:read'),
  request: { params: idParams, query: z.strictObject(pageQuery) },
  responses: { 200: answer('One page of log lines.', pageOf(logLine)) },
});

/** The task of a path for a caller; one out of its scope is as unknown as one that does not exist. */
export async function requireTaskFor(
  deps: ApiDeps,
  principal: Principal,
  id: string,
  need: Permission,
): Promise<TaskRow> {
  return requireObject(principal, await getTask(deps.database.db, id), {
    what: 'task',
    id,
    target: (task) => task.target,
    read: 'tasks:read',
    need,
  });
}

/** A task that is known to be there, read again. */
export async function requireTask(deps: ApiDeps, id: string): Promise<TaskRow> {
  return (
    (await getTask(deps.database.db, id)) ?? throwRefusal(refuse('NOT_FOUND', `There is no task ${id}.`))
  );
}

export function addTaskRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  app.openapi(list, async (c) => {
    const { limit, cursor, order, ...filter } = c.req.valid('query');
    if (order !== 'newest') {
      const start = decodeCursor(cursor, orderedPlace) ?? { atMs: Date.now() };
      const readable = { ...filter, scopes: scopesOf(c.get('principal'), 'tasks:read') };
      const ranked = await listTasksBy(db, order, readable, start, limit + 1);
      const cut = cutPage(ranked, limit, ({ row, rank }) => ({ atMs: start.atMs, rank, id: row.id }));
      const items = cut.rows.map(({ row }) => taskView(deps, row));
      return c.json({ items, nextCursor: cut.nextCursor }, 200);
    }
    const place = decodeCursor(cursor, timePlace);
    const before = place === null ? null : { createdAt: place.at, id: place.id };
    const scopes = scopesOf(c.get('principal'), 'tasks:read');
    const rows = await listTasks(db, { ...filter, scopes }, before, limit + 1);
    const page = cutPage(rows, limit, (row) => ({ at: row.createdAt.getTime(), id: row.id }));
    return c.json({ items: page.rows.map((row) => taskView(deps, row)), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) => {
    const task = await requireTaskFor(deps, c.get('principal'), c.req.valid('param').id, 'tasks:read');
    const [approval, attempts, children] = await Promise.all([
      getApproval(db, task.approvalId),
      listTaskAttempts(db, task.id),
      childProgress(db, task.id),
    ]);
    return c.json(
      {
        task: taskWhole(deps, task),
        approval: approval === null ? null : briefly(approval),
        attempts: attempts.map(attemptView),
        children,
        choice: task.agentChoice,
      },
      200,
    );
  });

  app.openapi(logs, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const task = await requireTaskFor(deps, c.get('principal'), c.req.valid('param').id, 'tasks:read');
    const after = Number(decodeCursor(cursor, idPlace)?.id ?? '0');
    if (!Number.isSafeInteger(after)) throwRefusal(refuse('INVALID', 'This cursor is not one of this list.'));
    const rows = await listTaskLogs(db, task.id, after, limit + 1);
    const page = cutPage(rows, limit, (row) => ({ id: String(row.id) }));
    const items = page.rows.map(({ id, attempt, at, level, message }) => ({
      id,
      attempt,
      at: at.toISOString(),
      level,
      message,
    }));
    return c.json({ items, nextCursor: page.nextCursor }, 200);
  });
}
