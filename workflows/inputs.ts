import type { CycleMode } from '../domain/halo.ts';
import type { HaloLoopState, TriggerCounts } from '../domain/halo-loop.ts';

/** Inputs of every workflow, one object each, JSON-safe. */
export type TaskInput = { taskId: string; run: number };
export type HaloLoopInput = { state: HaloLoopState };
export type HaloCycleInput = {
  cycleId: string;
  mode: CycleMode;
  trigger: TriggerCounts & { eventIds: string[] };
  requestedBy: string | null;
  /** How old a first sign is before it is proposed for; nothing where a person asked, or before it was known. */
  settleMs?: number;
};
export type ProbeRunInput = { probeId: string };
export type NotificationInput = { notificationId: string };
export type SubscriptionInput = { key: string };
export type RedriveInput = { redriveId: string };
/** `looks` is how often the run before looked in vain. */
export type ReplayInput = { replayId: string; looks: number };
