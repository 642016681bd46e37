import type { Waiting } from './approval-record.ts';

/** What becomes due while an approval waits, by the clock of the run that waits for it. */
export type Due = 'expiry' | 'escalation' | 'reminder';
export type Timetable = {
  expiresAtMs: number;
  escalatesAtMs: number | null;
  remindsAtMs: number | null;
  remindEveryMs: number;
};

/** However short a policy makes the interval, a run tells its people no more often than this while it waits. */
export const maxReminders = 20;

/** The timetable of a wait that begins now; runs from before there were reminders only expire. */
export function timetable(waiting: Waiting, nowMs: number): Timetable {
  const { expiresInMs, remindEveryMs = null, escalateAfterMs = null } = waiting;
  const every = Math.max(remindEveryMs ?? 0, Math.ceil(expiresInMs / maxReminders), 1);
  const first = remindEveryMs === null ? null : Math.max(0, waiting.remindAfterMs ?? every);
  return {
    expiresAtMs: nowMs + expiresInMs,
    escalatesAtMs: escalateAfterMs === null ? null : nowMs + Math.max(0, escalateAfterMs),
    remindsAtMs: first === null ? null : nowMs + first,
    remindEveryMs: every,
  };
}

/** What comes first. At one moment an expiry goes before an escalation, and that before a reminder. */
export function nextDue(times: Timetable): { what: Due; atMs: number } {
  let next: { what: Due; atMs: number } = { what: 'expiry', atMs: times.expiresAtMs };
  const { escalatesAtMs, remindsAtMs } = times;
  if (escalatesAtMs !== null && escalatesAtMs < next.atMs) next = { what: 'escalation', atMs: escalatesAtMs };
  if (remindsAtMs !== null && remindsAtMs < next.atMs) next = { what: 'reminder', atMs: remindsAtMs };
  return next;
}

/** The timetable after something was done: an escalation comes once, a reminder an interval later. */
export function afterDue(times: Timetable, what: Exclude<Due, 'expiry'>, nowMs: number): Timetable {
  if (what === 'escalation') return { ...times, escalatesAtMs: null };
  return { ...times, remindsAtMs: nowMs + times.remindEveryMs };
}
