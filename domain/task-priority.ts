import type { TaskPriority } from './task.ts';

/** Points a task starts with by its priority (LEDGER N-008, SQD-023). */
export const priorityPoints: Record<TaskPriority, number> = { urgent: 100, high: 75, normal: 50, low: 25 };
export const overdueScore = 200;
const hourMs = 3_600_000;
const dayMs = 86_400_000;

export type Prioritised = { priority: TaskPriority; dueAtMs: number | null; dependencies: number };

/**
 * The order of work: 100, 75, 50 or 25 by priority, half as much again in the hour before it is due and a fifth more in
 * the day before, a tenth more where it waits for others, and 200 once it is overdue (LEDGER N-008, SQD-023).
 */
export function priorityScore(task: Prioritised, nowMs: number): number {
  const leftMs = task.dueAtMs === null ? Infinity : task.dueAtMs - nowMs;
  if (leftMs < 0) return overdueScore;
  const byDue = leftMs <= hourMs ? 1.5 : leftMs <= dayMs ? 1.2 : 1;
  return priorityPoints[task.priority] * byDue * (task.dependencies > 0 ? 1.1 : 1);
}

export const maxDependencies = 20;
