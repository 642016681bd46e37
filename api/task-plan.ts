import { getSquad } from '../db/squads.ts';
import { getTasks } from '../db/tasks.ts';
import { isPermitted, type Principal } from '../domain/access.ts';
import { refuse } from '../domain/refusal.ts';
import { checkDependencies, checkSchedule } from '../domain/task-wait.ts';
import type { ApiDeps } from './context.ts';
import { throwRefusal } from './problems.ts';

type Plan = {
  squad?: string | undefined;
  dependsOn?: string[] | undefined;
  parentId?: string | undefined;
  notBefore?: string | undefined;
  dueAt?: string | undefined;
};

const timeOf = (text: string | undefined): number | null => (text === undefined ? null : Date.parse(text));

/** Refuses a plan that cannot be: a task or a squad that the caller may not see is as unknown as one that is not there. */
export async function requirePlan(
  deps: ApiDeps,
  principal: Principal,
  id: string,
  plan: Plan,
): Promise<void> {
  const { db } = deps.database;
  const { squad, dependsOn = [], parentId } = plan;
  const wanted = [...dependsOn, ...(parentId === undefined ? [] : [parentId])];
  const [found, known] = await Promise.all([
    getTasks(db, wanted),
    squad === undefined ? null : getSquad(db, squad),
  ]);
  const seen = new Map(
    found
      .filter(({ target }) => isPermitted(principal, 'tasks:read', target))
      .map(({ id: taskId, state }) => [taskId, state]),
  );
  const refusal =
    checkSchedule({ notBeforeMs: timeOf(plan.notBefore), dueAtMs: timeOf(plan.dueAt) }, Date.now()) ??
    checkDependencies(id, dependsOn, seen);
  if (refusal !== null) throwRefusal(refusal);
  if (parentId !== undefined && (parentId === id || !seen.has(parentId)))
    throwRefusal(refuse('INVALID', `parentId: there is no other task ${parentId}.`));
  if (squad !== undefined && (known === null || !isPermitted(principal, 'squads:read', `squad:${squad}`)))
    throwRefusal(refuse('INVALID', `squad: there is no squad ${squad}; list them with GET /v1/squads.`));
}
