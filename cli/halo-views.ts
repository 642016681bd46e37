import type { CycleMode, CycleState } from '../domain/halo.ts';
import type { Risk, TaskState } from '../domain/task.ts';
import type { Link } from './views.ts';

/* What the API answers about HALO, as far as the command line shows it. */
export type Cycle = {
  id: string;
  mode: CycleMode;
  state: CycleState;
  weakPoints: { id: string; severity: string; title: string }[];
  taskIds: string[];
  insightsUsed: string[];
  error: string | null;
  startedAt: string;
  endedAt: string | null;
  temporal: Link;
  leftOut?: { title: string; target: string; because: string }[];
  /** Of one cycle only. */
  analyses?: { analyzer: string; state: string; tookMs: number; issues: number }[];
  incidents?: { root: string; name: string; members: string[]; because: string }[];
  learningErrors?: string[];
  proposals?: {
    taskId: string;
    title: string;
    target: string;
    risk: Risk;
    state: TaskState;
    blastRadius: number;
  }[];
  issues?: HaloIssue[];
  superseded?: { taskId: string; title: string; target: string; state: TaskState; because: string }[];
};

export type HaloIssue = {
  id: string;
  analyzer: string;
  entityKind: string;
  entityId: string;
  severity: string;
  title: string;
  evidence: string[];
  observed: Record<string, unknown>;
};

export type HaloState = {
  running: boolean;
  paused: boolean | null;
  pending: {
    cycleId: string;
    mode: string;
    triggers: Record<string, number>;
    startsAt: string | null;
    because: string;
  } | null;
  budgetLeft: number;
  limits: { cyclesPerHour: number; intervalMs: number };
  counters: { name: string; count: number; threshold: number }[];
  lastTickAt: string | null;
  runningCycleId: string | null;
  lastEndedAt: string | null;
  startsInLastHour: number | null;
  cycles: number | null;
  temporal: Link;
};

export type Repair = {
  taskId: string;
  action: string;
  target: string;
  repairedAt: string;
  state: string;
  verdict: string | null;
  because: string | null;
};

export type Autonomy = {
  action: string;
  targetClass: string;
  helped: number;
  failed: number;
  streak: number;
  state: string;
  inForce: boolean;
  version: number;
  reason: string | null;
  expiresAt: string | null;
  withdrawnBecause: string | null;
};
