import { getAutonomy } from '../../db/autonomy.ts';
import { newId } from '../../db/ids.ts';
import { createProbe, getProbe, recordProbeResult } from '../../db/probes.ts';
import { createTask, type NewTask } from '../../db/task-create.ts';
import { finishAttempt } from '../../db/task-end.ts';
import { aRunningTask, bindingTo, freshTask } from '../db/flow.ts';
import type { People, TestDatabase } from './database.ts';
import { aNewTask } from './factories.ts';

export async function aProbe(database: TestDatabase, people: People): Promise<string> {
  const id = newId('prb');
  await createProbe(database.db, {
    ...{ id, name: id, method: 'GET', url: 'http://shop/', headers: {}, body: null },
    ...{ assertions: { statusFrom: 200, statusTo: 299 }, timeoutMs: 1000, intervalSeconds: null },
    ...{ allowPrivateNetwork: false, owner: people.requester, opKey: newId('op') },
  });
  return id;
}

/** So many real results of a probe; `f` is a failure, everything else a success. */
export async function results(database: TestDatabase, probeId: string, course: string): Promise<void> {
  const probe = await getProbe(database.db, probeId);
  if (probe === null) throw new Error('the probe is gone');
  for (const one of course) {
    const ok = one !== 'f';
    await recordProbeResult(database.db, {
      ...{ probe, opKey: newId('op') },
      observation: { status: ok ? 200 : 500, latencyMs: 20, body: '', error: null },
      judgement: { ok, failures: ok ? [] : ['status 500'], severity: ok ? 'info' : 'critical' },
    });
  }
}

/** A task as HALO proposes it. */
export function aHaloTask(people: People, agentId: string, given: Partial<NewTask> = {}): NewTask {
  return aNewTask(people, { origin: 'halo', originId: newId('cyc'), binding: bindingTo(agentId), ...given });
}

/** What HALO proposed for a target is carried out, with success unless said. */
export async function aRepair(
  database: TestDatabase,
  people: People,
  agentId: string,
  given: Partial<NewTask> & { ok?: boolean } = {},
): Promise<string> {
  const { ok = true, ...task } = given;
  const { id } = await aRunningTask(database, people, agentId, {
    ...{ origin: 'halo', originId: newId('cyc') },
    ...task,
  });
  await finishAttempt(database.db, {
    ...{ taskId: id, attempt: 1, opKey: newId('op') },
    result: { ok, summary: 'done' },
  });
  return id;
}

export async function proposeHalo(database: TestDatabase, task: NewTask) {
  const outcome = await createTask(database.db, task, { key: newId('op'), actor: 'halo' });
  if (outcome.status !== 'changed') throw new Error(`the task was not created: ${outcome.status}`);
  return freshTask(database, task.id);
}

/** A pair as so many judged repairs would have left it. */
export async function aPair(
  database: TestDatabase,
  action: string,
  given: { state?: 'manual' | 'suggested'; helped?: number; targetClass?: string } = {},
) {
  const { state = 'suggested', helped = 5, targetClass = 'probe' } = given;
  await database.root`
    insert into autonomy (action, target_class, helped, streak, state)
    values (${action}, ${targetClass}, ${helped}, ${helped}, ${state})`;
  const row = await getAutonomy(database.db, { action, targetClass });
  if (row === null) throw new Error('the pair is gone');
  return row;
}
