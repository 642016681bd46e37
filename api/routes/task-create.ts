import { createRoute, z } from '@hono/zod-openapi';
import { findAgentByPrincipal, listCandidates } from '../../db/agents.ts';
import { findAuditDetail } from '../../db/audit.ts';
import { derivedId, digest, newId } from '../../db/ids.ts';
import { createTask, type NewTask } from '../../db/task-create.ts';
import type { TaskRow } from '../../db/tasks.ts';
import type { Principal } from '../../domain/access.ts';
import { chooseAgent } from '../../domain/agent.ts';
import { issueSeverities } from '../../domain/analyzers/issue.ts';
import { maxPayloadBytes } from '../../domain/events.ts';
import { canonical } from '../../domain/json.ts';
import { refuse } from '../../domain/refusal.ts';
import {
  defaultTimeoutMs,
  dispatchModes,
  type ExecutorBinding,
  isEnded,
  maxTimeoutMs,
  risks,
  taskRoles,
} from '../../domain/task.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { requireReach } from '../object-scope.ts';
import { describeError, ProblemError, throwRefusal } from '../problems.ts';
import { answer, body, idempotencyHeader, jsonObject, line } from '../schemas.ts';
import { taskWhole, taskWholeSchema } from '../views.ts';
import { requireTask } from './tasks.ts';

const taskInput = z.strictObject({
  type: z
    .string()
    .max(120)
    .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/),
  title: line(200),
  target: line(200),
  payload: jsonObject.default({}),
  targetRole: z.enum(taskRoles),
  risk: z.enum(risks).default('medium'),
  severity: z.enum(issueSeverities).default('medium'),
  dispatchMode: z.enum(dispatchModes).default('manual'),
  timeoutMs: z.number().int().min(1000).max(maxTimeoutMs).default(defaultTimeoutMs),
  expiresInSeconds: z
    .number()
    .int()
    .min(1)
    .max(30 * 86_400)
    .optional(),
  reversible: z.boolean().default(false),
});
type TaskInput = z.infer<typeof taskInput>;

const create = createRoute({
  method: 'post',
  path: '/v1/tasks',
  tags: ['tasks'],
  summary: 'Proposes a task; it waits in the inbox for another person',
  ...guard('tasks:write'),
  request: { headers: idempotencyHeader, body: body(taskInput) },
  responses: {
    201: answer('The task is stored and its run started.', taskWholeSchema),
    200: answer('This request was made before; this is its task as it is now.', taskWholeSchema),
    202: answer('The task is stored; its run starts once Temporal answers again.', taskWholeSchema),
  },
});

type Identity = { id: string; opKey: string };

/** With a key the same request makes the same task: its id follows from who asks and the key. */
function identityOf(principal: Principal, idempotencyKey: string | undefined): Identity {
  const id =
    idempotencyKey === undefined ? newId('tsk') : derivedId('tsk', `${principal.id}|${idempotencyKey}`);
  return { id, opKey: `task.create:${id}` };
}

async function bindAgent(deps: ApiDeps, input: TaskInput): Promise<ExecutorBinding> {
  const agent = chooseAgent(await listCandidates(deps.database.db), input);
  if (agent === null) return null;
  return { agentId: agent.id, executor: agent.executor, configVersion: agent.configVersion };
}

async function toNewTask(
  deps: ApiDeps,
  id: string,
  input: TaskInput,
  principal: Principal,
): Promise<NewTask> {
  const { expiresInSeconds, ...task } = input;
  const agent =
    principal.kind === 'agent' ? await findAgentByPrincipal(deps.database.db, principal.id) : null;
  return {
    ...task,
    id,
    origin: principal.kind === 'agent' ? 'agent' : 'api',
    originId: agent?.id ?? null,
    fingerprint: null,
    evidence: [],
    requestedBy: principal.id,
    expiresInMs: expiresInSeconds === undefined ? null : expiresInSeconds * 1000,
    binding: await bindAgent(deps, input),
  };
}

/** Starts the task's run where that has not happened; false while Temporal does not answer. */
export async function startRun(
  deps: ApiDeps,
  task: TaskRow,
): Promise<{ started: boolean; runId: string | null }> {
  if (task.runId !== null || isEnded(task.state)) return { started: true, runId: task.runId };
  const { id: taskId, run, target, title, state, severity } = task;
  try {
    const { runId } = await deps.temporal.startTask({ taskId, run, target, title, state, severity });
    return { started: true, runId };
  } catch (error) {
    if (!(error instanceof ProblemError) || error.code !== 'UNAVAILABLE') throw error;
    // The task is stored: the reconciler in the worker starts it.
    deps.log.warn({ err: describeError(error), taskId }, 'the run of a task could not be started yet');
    return { started: false, runId: null };
  }
}

export function addTaskCreateRoute(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  async function store(input: TaskInput, principal: Principal, { id, opKey }: Identity): Promise<boolean> {
    const requestDigest = digest(canonical(input));
    const task = await toNewTask(deps, id, input, principal);
    const op = { key: opKey, actor: principal.id, requestDigest };
    let outcome = await createTask(db, task, op);
    // Unchanged: another request with the same key committed in the same moment. Its outcome is there now.
    if (outcome.status === 'unchanged') outcome = await createTask(db, task, op);
    if (outcome.status === 'changed') return true;
    const earlier = await findAuditDetail(db, opKey);
    if (earlier?.requestDigest !== requestDigest)
      throwRefusal(
        refuse('CONFLICT', 'This Idempotency-Key was used for another body; use a new key for a new task.', {
          taskId: id,
        }),
      );
    return false;
  }

  app.openapi(create, async (c) => {
    const input = c.req.valid('json');
    if (Buffer.byteLength(JSON.stringify(input.payload)) > maxPayloadBytes)
      throw new ProblemError('PAYLOAD_TOO_LARGE', `A payload may have at most ${maxPayloadBytes} bytes.`);
    const principal = c.get('principal');
    requireReach(principal, 'tasks:write', input.target);
    const identity = identityOf(principal, c.req.valid('header')['idempotency-key']);
    const isNew = await store(input, principal, identity);
    const task = await requireTask(deps, identity.id);
    const { started, runId } = await startRun(deps, task);
    const view = taskWhole(deps, { ...task, runId });
    if (!started) return c.json(view, 202);
    return c.json(view, isNew ? 201 : 200);
  });
}
