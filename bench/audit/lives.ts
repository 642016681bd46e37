import type { Db } from '../../db/client.ts';
import { recordDecision } from '../../db/decisions.ts';
import { newId } from '../../db/ids.ts';
import { createTask } from '../../db/task-create.ts';
import { finishAttempt } from '../../db/task-end.ts';
import { beginAttempt } from '../../db/task-run.ts';
import { getTask } from '../../db/tasks.ts';
import type { ExecutorBinding } from '../../domain/task.ts';
import type { Stage } from '../stage.ts';

/** Entries that one life of a task leaves: proposed, approved, dispatched, done. */
export const entriesPerLife = 4;
const lanes = 4;
const type = 'bench.audit';

type Cast = { requester: string; approver: string; binding: ExecutorBinding };

/** Whole lives of tasks, written by the verbs that the API and the workers write with; no run is needed for them. */
export async function liveThrough(stage: Stage, cast: Cast, lives: number): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while ((next += 1) <= lives) {
      stage.signal.throwIfAborted();
      await live(stage.database.db, next, cast);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** Who asks, who decides, and who would do the work. */
export async function castOf({ admin, operator }: Stage): Promise<Cast> {
  const requester = await admin.get<{ id: string }>('/v1/me');
  const approver = await operator.get<{ id: string }>('/v1/me');
  const { body } = await admin.post<{ agent: { id: string; configVersion: number } }>('/v1/agents', {
    ...{ name: 'bench-audit', role: 'Custom', capabilities: [type], executor: 'temporal' },
    config: { taskQueue: 'bench-audit' },
    maxConcurrency: 1000,
  });
  const { id: agentId, configVersion } = body.agent;
  const binding = { agentId, executor: 'temporal', configVersion } as const;
  return { requester: requester.id, approver: approver.id, binding };
}

async function live(db: Db, number: number, { requester, approver, binding }: Cast): Promise<void> {
  const taskId = newId('tsk');
  await createTask(
    db,
    {
      ...{ id: taskId, type, title: `Bench task ${number}`, payload: { number }, target: `bench-${number}` },
      ...{
        targetRole: 'Custom',
        severity: 'low',
        risk: 'low',
        reversible: true,
        origin: 'api',
        originId: null,
      },
      ...{ fingerprint: null, evidence: [], requestedBy: requester, dispatchMode: 'manual', binding },
      ...{ timeoutMs: 60_000, expiresInMs: null },
    },
    { key: newId('op'), actor: requester },
  );
  const task = await getTask(db, taskId);
  if (task === null) throw new Error('A task of the measurement was not stored.');
  const { approvalId, workflowId, digest } = task;
  const decided = await recordDecision(db, {
    ...{ approvalId, workflowId, digest, decision: 'approve', principalId: approver },
    ...{ reason: null, requestId: null, opKey: newId('op') },
  });
  if (!decided.accepted) throw new Error(`A decision of the measurement was refused: ${decided.message}`);
  const begun = await beginAttempt(db, { taskId, opKey: newId('op'), request: null, actor: 'system' });
  if (!begun.dispatched) throw new Error('A task of the measurement was not dispatched.');
  const result = { ok: true, summary: 'Nothing was to be done.' };
  await finishAttempt(db, { taskId, attempt: begun.attempt, opKey: newId('op'), result });
}
