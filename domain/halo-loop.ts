import type { CycleMode } from './halo.ts';
import { refuse, type Refusal } from './refusal.ts';

export type HaloLimits = {
  cooldownMs: number;
  errorWindowMs: number;
  cyclesPerHour: number;
  /** How old a first sign is before a cycle that nobody asked for proposes; results recorded before it have none. */
  settleMs?: number;
};
/** What an incident depends on, and what began with it, has been seen by then (see isRipe). */
export const defaultSettleMs = 90_000;
/** 60 s between cycles, errors gathered for 30 s, at most 20 cycles an hour (LEDGER 5.6, K6). */
export const defaultHaloLimits: HaloLimits = {
  cooldownMs: 60_000,
  errorWindowMs: 30_000,
  cyclesPerHour: 20,
  settleMs: defaultSettleMs,
};

/**
 * What makes HALO look (LEDGER 1.2), and how. Light: load alone is no sign of a fault, and right after a deploy services
 * restart, so that a repair proposed then would be a false one; if the fault stays, errors or the schedule bring a full
 * cycle. The schedule is full, as it is the only one that sees what nobody reports: silence and slow drift.
 */
export const triggerRules = {
  manual: { mode: 'full', urgent: true, says: 'a person' },
  event: { mode: 'full', urgent: false, says: 'events' },
  time: { mode: 'full', urgent: false, says: 'the schedule' },
  requests: { mode: 'light', urgent: false, says: 'the number of requests' },
  errors: { mode: 'full', urgent: false, says: 'the number of errors' },
  deploy: { mode: 'light', urgent: false, says: 'a deploy' },
  settled: { mode: 'full', urgent: false, says: 'a finding that had to settle' },
} as const satisfies Record<string, { mode: CycleMode; urgent: boolean; says: string }>;
export type TriggerName = keyof typeof triggerRules;

/** How often each trigger asked; loops from before the others were there know two. */
export type TriggerCounts = { manual: number; event: number } & Partial<Record<TriggerName, number>>;

/** HALO is triggered by 150 requests or 25 errors, and each 5 minutes (LEDGER 1.2); 0 switches one off. */
export const defaultHaloTriggers = { requests: 150, errors: 25, intervalMs: 300_000 };

export type HaloTrigger = {
  name: TriggerName;
  /** Critical events and people do not wait for the error window. */
  urgent: boolean;
  mode: CycleMode;
  requestedBy: string | null;
  eventIds: string[];
};

export type PendingCycle = {
  cycleId: string;
  sinceMs: number;
  urgent: boolean;
  manual: boolean;
  mode: CycleMode;
  requestedBy: string | null;
  /** How often each trigger asked while this cycle waited. */
  triggers: TriggerCounts;
  eventIds: string[];
};

export type HaloLoopState = {
  paused: boolean;
  pending: PendingCycle | null;
  runningCycleId: string | null;
  /** Start times within the last hour, for the budget. */
  startsMs: number[];
  lastEndedMs: number | null;
  cycles: number;
  /** When each trigger asked last. */
  askedMs?: Partial<Record<TriggerName, number>>;
  /** When the last full cycle's findings that were too fresh for a proposal will have settled. */
  settledMs?: number;
};

export function emptyHaloLoop(): HaloLoopState {
  return { paused: false, pending: null, runningCycleId: null, startsMs: [], lastEndedMs: null, cycles: 0 };
}

export const rememberedEvents = 20;
const hourMs = 3_600_000;

/** A trigger as its rule has it. */
export function triggerOf(name: TriggerName, given: Partial<Omit<HaloTrigger, 'name'>> = {}): HaloTrigger {
  const { mode, urgent } = triggerRules[name];
  return { name, mode, urgent, requestedBy: null, eventIds: [], ...given };
}

/** Who asked for a cycle, for a person who reads the list of runs. */
export function askersOf({ triggers }: Pick<PendingCycle, 'triggers'>): string {
  const names = Object.keys(triggerRules) as TriggerName[];
  return names
    .filter((name) => (triggers[name] ?? 0) > 0)
    .map((name) => triggerRules[name].says)
    .join(', ');
}

/** Triggers that arrive while a cycle waits or runs are gathered into the one next cycle and never lost (trap D10). */
export function gather(
  state: HaloLoopState,
  trigger: HaloTrigger,
  newCycleId: string,
  nowMs: number,
): HaloLoopState {
  const known = state.pending ?? {
    cycleId: newCycleId,
    sinceMs: nowMs,
    urgent: false,
    manual: false,
    mode: trigger.mode,
    requestedBy: null,
    triggers: { manual: 0, event: 0 },
    eventIds: [],
  };
  const pending: PendingCycle = {
    ...known,
    urgent: known.urgent || trigger.urgent,
    manual: known.manual || trigger.name === 'manual',
    mode: trigger.mode === 'full' ? 'full' : known.mode,
    requestedBy: known.requestedBy ?? trigger.requestedBy,
    triggers: { ...known.triggers, [trigger.name]: (known.triggers[trigger.name] ?? 0) + 1 },
    eventIds: [...new Set([...known.eventIds, ...trigger.eventIds])].slice(0, rememberedEvents),
  };
  return { ...state, pending, askedMs: { ...state.askedMs, [trigger.name]: nowMs } };
}

/** The loop after a full cycle said when what it left to settle has done so; a light one proposes nothing and says nothing. */
export function settling(
  state: HaloLoopState,
  mode: CycleMode,
  settledMs: number | undefined,
): HaloLoopState {
  const { settledMs: before, ...rest } = state;
  const next = mode === 'full' ? settledMs : before;
  return next === undefined ? rest : { ...rest, settledMs: next };
}

/** In how long a loop at rest looks again by itself: errors are gathered meanwhile, so the cycle starts when all has settled. */
export function restFor(
  { settledMs }: HaloLoopState,
  { errorWindowMs }: HaloLimits,
  nowMs: number,
): number | null {
  return settledMs === undefined ? null : Math.max(1, settledMs - errorWindowMs - nowMs);
}

export type LoopStep = { do: 'start' } | { do: 'wait'; forMs: number; because: string } | { do: 'rest' };

/**
 * The next cycle starts when the loop is not paused, the hourly budget has room, the cooldown after the last cycle is
 * over (a person need not wait for it), and errors have been gathered for the error window (critical ones at once).
 */
export function nextStep(state: HaloLoopState, limits: HaloLimits, nowMs: number): LoopStep {
  const { pending } = state;
  if (state.paused || pending === null) return { do: 'rest' };
  const recent = state.startsMs.filter((start) => start > nowMs - hourMs);
  const oldest = recent[0];
  const waits: { untilMs: number; because: string }[] = [];
  if (recent.length >= limits.cyclesPerHour && oldest !== undefined)
    waits.push({ untilMs: oldest + hourMs, because: 'hourly budget' });
  if (!pending.manual && state.lastEndedMs !== null)
    waits.push({ untilMs: state.lastEndedMs + limits.cooldownMs, because: 'cooldown' });
  if (!pending.urgent)
    waits.push({ untilMs: pending.sinceMs + limits.errorWindowMs, because: 'gathering errors' });
  const longest = waits.filter((wait) => wait.untilMs > nowMs).sort((a, b) => b.untilMs - a.untilMs)[0];
  if (longest === undefined) return { do: 'start' };
  return { do: 'wait', forMs: longest.untilMs - nowMs, because: longest.because };
}

/** How many cycles may still start within this hour. */
export function budgetLeft(state: HaloLoopState, limits: HaloLimits, nowMs: number): number {
  const recent = state.startsMs.filter((start) => start > nowMs - hourMs);
  return Math.max(0, limits.cyclesPerHour - recent.length);
}

/** When the pending cycle can start at the earliest, and what it waits for; no time is known while it is paused or another runs. */
export function nextStart(
  state: HaloLoopState,
  limits: HaloLimits,
  nowMs: number,
): { atMs: number | null; because: string } | null {
  if (state.pending === null) return null;
  if (state.paused) return { atMs: null, because: 'HALO is paused; the cycle waits for a resume' };
  if (state.runningCycleId !== null)
    return { atMs: null, because: `cycle ${state.runningCycleId} is running; this one follows` };
  const step = nextStep(state, limits, nowMs);
  if (step.do !== 'wait') return { atMs: nowMs, because: 'it starts now' };
  return { atMs: nowMs + step.forMs, because: step.because };
}

/** The loop after its pending cycle was started. */
export function started(state: HaloLoopState, nowMs: number): HaloLoopState {
  return {
    ...state,
    pending: null,
    runningCycleId: state.pending?.cycleId ?? null,
    startsMs: [...state.startsMs.filter((start) => start > nowMs - hourMs), nowMs],
    cycles: state.cycles + 1,
  };
}

/** The loop after its cycle ended, however it ended. */
export function ended(state: HaloLoopState, nowMs: number): HaloLoopState {
  return { ...state, runningCycleId: null, lastEndedMs: nowMs };
}

/** A pause of a paused loop, or a resume of a running one, is refused so that the second person learns of the first. */
export function checkPause(paused: boolean, wanted: boolean): Refusal | null {
  if (paused !== wanted) return null;
  return refuse('CONFLICT', wanted ? 'HALO is already paused.' : 'HALO is not paused.');
}
