import { createRoute, z } from '@hono/zod-openapi';
import { findAgentByPrincipal, listCandidates } from '../../db/agents.ts';
import { findAuditDetail } from '../../db/audit.ts';
import { derivedId, digest, newId } from '../../db/ids.ts';
import { createTask, type NewTask } from '../../db/task-create.ts';
import { unknownEvents } from '../../db/task-fold.ts';
import { bindingOf } from '../../db/task-run.ts';
import type { TaskRow } from '../../db/tasks.ts';
import type { Principal } from '../../domain/access.ts';
import { type AgentChoice, chooseAgent, explainChoice } from '../../domain/agent.ts';
import { issueSeverities } from '../../domain/analyzers/issue.ts';
import { typeShape } from '../../domain/events.ts';
import { canonical } from '../../domain/json.ts';
import { isRefusal, refuse, type Refusal } from '../../domain/refusal.ts';
import {
  defaultTimeoutMs,
  dispatchModes,
  type ExecutorBinding,
  isEnded,
  maxTimeoutMs,
  risks,
  taskPriorities,
  taskRoles,
} from '../../domain/task.ts';
import { maxDependencies } from '../../domain/task-priority.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { requireSmallPayload } from '../event-input.ts';
import { nowOrLater } from '../now-or-later.ts';
import { requireReach } from '../object-scope.ts';
import { throwRefusal } from '../problems.ts';
import { answer, body, idempotencyHeader, idParams, jsonObject, line } from '../schemas.ts';
import { type Folding, joinedBefore, joinOpenTask, type Stored } from '../task-fold.ts';
import { taskWhole, taskWholeSchema } from '../views.ts';
import { requirePlan } from '../task-plan.ts';
import { requireTask } from './tasks.ts';

const taskInput = z.strictObject({
  type: z.string().max(120).regex(typeShape),
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
  fingerprint: line(200).optional(),
  evidence: z.array(idParams.shape.id).max(50).optional(),
  priority: z.enum(taskPriorities).optional(),
  squad: idParams.shape.id.optional(),
  dependsOn: z.array(idParams.shape.id).max(maxDependencies).optional(),
  parentId: idParams.shape.id.optional(),
  notBefore: z.iso.datetime({ offset: true }).optional(),
  dueAt: z.iso.datetime({ offset: true }).optional(),
});
type TaskInput = z.infer<typeof taskInput>;

const createdSchema = taskWholeSchema
  .extend({
    folded: z.boolean(),
    differs: z.array(z.object({ member: z.string(), open: z.string(), proposed: z.string() })),
  })
  .openapi('TaskCreated');

const create = createRoute({
  method: 'post',
  path: '/v1/tasks',
  tags: ['tasks'],
  summary: 'Proposes a task; it waits in the inbox for another person',
  ...guard('tasks:write'),
  request: { headers: idempotencyHeader, body: body(taskInput) },
  responses: {
    201: answer('The task is stored and its run started.', createdSchema),
    200: answer(
      'The task that this request made before, or the open one of its fingerprint, which it joined.',
      createdSchema,
    ),
    202: answer('The task is stored; its run starts once Temporal answers again.', createdSchema),
  },
});

type Identity = { id: string; opKey: string };
const rounds = 5;

/** With a key the same request makes the same task: its id follows from who asks and the key. */
function identityOf(principal: Principal, idempotencyKey: string | undefined): Identity {
  const id =
    idempotencyKey === undefined ? newId('tsk') : derivedId('tsk', `${principal.id}|${idempotencyKey}`);
  return { id, opKey: `task.create:${id}` };
}

async function bindAgent(
  deps: ApiDeps,
  input: TaskInput,
): Promise<{ binding: ExecutorBinding; agentChoice: AgentChoice | null }> {
  const candidates = await listCandidates(deps.database.db);
  return {
    binding: bindingOf(chooseAgent(candidates, input)),
    agentChoice: explainChoice(candidates, input),
  };
}

async function toNewTask(
  deps: ApiDeps,
  id: string,
  input: TaskInput,
  principal: Principal,
): Promise<NewTask> {
  const { expiresInSeconds, fingerprint, evidence = [], notBefore, dueAt, ...rest } = input;
  const { priority = 'normal', squad = null, dependsOn = [], parentId = null, ...task } = rest;
  const agent =
    principal.kind === 'agent' ? await findAgentByPrincipal(deps.database.db, principal.id) : null;
  return {
    ...task,
    id,
    origin: principal.kind === 'agent' ? 'agent' : 'api',
    originId: agent?.id ?? null,
    fingerprint: fingerprint ?? null,
    evidence: [...new Set(evidence)],
    requestedBy: principal.id,
    expiresInMs: expiresInSeconds === undefined ? null : expiresInSeconds * 1000,
    ...{ priority, squad, parentId, dependsOn: [...new Set(dependsOn)] },
    notBefore: notBefore === undefined ? null : new Date(notBefore),
    dueAt: dueAt === undefined ? null : new Date(dueAt),
    ...(await bindAgent(deps, input)),
  };
}

/** Starts the task's run where that has not happened; false while Temporal does not answer. */
export async function startRun(
  deps: ApiDeps,
  task: TaskRow,
): Promise<{ started: boolean; runId: string | null }> {
  if (task.runId !== null || isEnded(task.state)) return { started: true, runId: task.runId };
  const { id: taskId, run, target, title, state, severity } = task;
  const work = () => deps.temporal.startTask({ taskId, run, target, title, state, severity });
  const started = await nowOrLater(deps, work, 'the run of a task could not be started yet', { taskId });
  return { started: started !== null, runId: started?.runId ?? null };
}

export function addTaskCreateRoute(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  const keyUsed = (taskId: string): Refusal =>
    refuse('CONFLICT', 'This Idempotency-Key was used for another body; use a new key for a new task.', {
      taskId,
    });

  async function store(input: TaskInput, principal: Principal, { id, opKey }: Identity): Promise<Stored> {
    const requestDigest = digest(canonical(input));
    const task = await toNewTask(deps, id, input, principal);
    const folding: Folding = { task, principal, requestDigest, opKey: `task.fold:${id}` };
    const joined = await joinedBefore(db, folding);
    if (isRefusal(joined)) throwRefusal(keyUsed(id));
    if (joined !== null) return joined;
    const op = { key: opKey, actor: principal.id, requestDigest };
    for (let round = 0; round < rounds; round += 1) {
      const outcome = await createTask(db, task, op);
      if (outcome.status === 'held') throwRefusal(outcome.refusal);
      if (outcome.status === 'changed') return { id, isNew: true, folded: false, differs: [] };
      if (outcome.status === 'repeated') {
        const earlier = await findAuditDetail(db, opKey);
        if (earlier?.requestDigest !== requestDigest) throwRefusal(keyUsed(id));
        return { id, isNew: false, folded: false, differs: [] };
      }
      // Unchanged: a request with the same key was faster and its outcome is there now, or the fix target is taken.
      const folded = await joinOpenTask(db, folding);
      if (isRefusal(folded)) throwRefusal(folded);
      if (folded !== null) return folded;
    }
    return throwRefusal(
      refuse('CONFLICT', 'The open task of this fingerprint changes all the time; try again in a moment.'),
    );
  }

  app.openapi(create, async (c) => {
    const input = c.req.valid('json');
    requireSmallPayload(input.payload);
    const principal = c.get('principal');
    requireReach(principal, 'tasks:write', input.target);
    const identity = identityOf(principal, c.req.valid('header')['idempotency-key']);
    const missing = await unknownEvents(db, input.evidence ?? []);
    if (missing.length > 0)
      throwRefusal(refuse('INVALID', `evidence: there is no event ${missing.join(', ')}.`, { missing }));
    await requirePlan(deps, principal, identity.id, input);
    const { id, isNew, folded, differs } = await store(input, principal, identity);
    const task = await requireTask(deps, id);
    const { started, runId } = await startRun(deps, task);
    const view = { ...taskWhole(deps, { ...task, runId }), folded, differs };
    if (!started) return c.json(view, 202);
    return c.json(view, isNew ? 201 : 200);
  });
}
