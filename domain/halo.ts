import { refuse, type Refusal } from './refusal.ts';
import { storableText } from './json.ts';
import { type AnalyzerName, type Issue, issueSeverities, type WeakPoint } from './analyzers/issue.ts';

/*
 * A HALO cycle: analyzing -> planning -> proposing -> learning -> completed, and from any of these to failed. An
 * analyzer that breaks becomes an issue of the cycle; it never fails the cycle.
 */
export const cycleStates = ['analyzing', 'planning', 'proposing', 'learning', 'completed', 'failed'] as const;
export type CycleState = (typeof cycleStates)[number];

export const cycleModes = ['full', 'light'] as const;
export type CycleMode = (typeof cycleModes)[number];

/** Light cycles look and report; only full cycles propose tasks (LEDGER 1.2). */
export function proposesTasks(mode: CycleMode): boolean {
  return mode === 'full';
}

/** Everything above low severity is a weak point, named by analyzer and issue (LEDGER 1.2). */
export function detectWeakPoints(issues: Issue[], from: Issue['severity'] = 'medium'): WeakPoint[] {
  return issues
    .filter(({ severity }) => issueSeverities.indexOf(severity) >= issueSeverities.indexOf(from))
    .map((issue) => ({ ...issue, id: `${issue.analyzer}:${issue.key}` }));
}

/** What one analyzer did in a cycle. */
export type Examination = {
  analyzer: AnalyzerName;
  state: 'done' | 'failed';
  tookMs: number;
  issues: Issue[];
};

/** The same, as it is kept on the cycle. */
export type Analysis = Omit<Examination, 'issues'> & { issues: number };

/** A cycle with weak points is worth a warning, one without is information (LEDGER 1.2). */
export function cycleSeverity(weakPoints: number): 'warning' | 'info' {
  return weakPoints > 0 ? 'warning' : 'info';
}

/** The issue a broken analyzer leaves behind, so that its silence is never taken for health. */
export function analyzerFailure(analyzer: AnalyzerName, message: string): Issue {
  return {
    key: 'analyzer-failed',
    analyzer,
    entityKind: 'analyzer',
    entityId: analyzer,
    entityName: analyzer,
    severity: 'medium',
    title: `the analyzer failed: ${storableText(message.slice(0, 300))}`,
    subject: { analyzer },
    owner: '',
    evidence: [],
  };
}

export type HaloLimits = { cooldownMs: number; errorWindowMs: number; cyclesPerHour: number };
/** 60 s between cycles, errors gathered for 30 s, at most 20 cycles an hour (LEDGER 5.6, K6). */
export const defaultHaloLimits: HaloLimits = { cooldownMs: 60_000, errorWindowMs: 30_000, cyclesPerHour: 20 };

export type HaloTrigger = {
  name: 'manual' | 'event';
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
  triggers: { manual: number; event: number };
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
};

export function emptyHaloLoop(): HaloLoopState {
  return { paused: false, pending: null, runningCycleId: null, startsMs: [], lastEndedMs: null, cycles: 0 };
}

const rememberedEvents = 20;
const hourMs = 3_600_000;

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
    triggers: { ...known.triggers, [trigger.name]: known.triggers[trigger.name] + 1 },
    eventIds: [...new Set([...known.eventIds, ...trigger.eventIds])].slice(0, rememberedEvents),
  };
  return { ...state, pending };
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
