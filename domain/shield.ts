import type { Severity } from './events.ts';

/*
 * Shield counts what looks like an attack. Each rule names a signal, how often it may occur within a window for one
 * subject, and what follows: a threat that people see, and where `blockMs` says so a block that ends by itself. There is
 * no counter-attack: a block refuses requests here and does nothing anywhere else.
 */
export const signals = ['login-failed', 'access-denied', 'limit-hit', 'ticket-forged'] as const;
export type Signal = (typeof signals)[number];

export const subjectKinds = ['address', 'key', 'principal', 'system'] as const;
export type SubjectKind = (typeof subjectKinds)[number];

export const threatKinds = [
  'guessing',
  'key-guessing',
  'burst',
  'flood',
  'probing',
  'bad-signatures',
] as const;
export type ThreatKind = (typeof threatKinds)[number];

export const threatStates = ['active', 'closed', 'expired'] as const;
export type ThreatState = (typeof threatStates)[number];

export type ShieldRule = {
  kind: ThreatKind;
  signal: Signal;
  subject: SubjectKind;
  threshold: number;
  windowMs: number;
  severity: Severity;
  /** How long the subject is refused; null raises a threat only. */
  blockMs: number | null;
};

const minuteMs = 60_000;

export const shieldRules: readonly ShieldRule[] = [
  {
    kind: 'guessing',
    signal: 'login-failed',
    subject: 'address',
    threshold: 20,
    windowMs: 5 * minuteMs,
    severity: 'error',
    blockMs: 15 * minuteMs,
  },
  {
    // Blocks the key for that address alone: its holder, elsewhere, does not notice.
    kind: 'key-guessing',
    signal: 'login-failed',
    subject: 'key',
    threshold: 10,
    windowMs: 5 * minuteMs,
    severity: 'critical',
    blockMs: 15 * minuteMs,
  },
  {
    kind: 'burst',
    signal: 'limit-hit',
    subject: 'principal',
    threshold: 100,
    windowMs: 5 * minuteMs,
    severity: 'warning',
    blockMs: null,
  },
  {
    kind: 'flood',
    signal: 'limit-hit',
    subject: 'principal',
    threshold: 2_000,
    windowMs: 5 * minuteMs,
    severity: 'error',
    blockMs: 5 * minuteMs,
  },
  {
    kind: 'probing',
    signal: 'access-denied',
    subject: 'principal',
    threshold: 50,
    windowMs: 10 * minuteMs,
    severity: 'error',
    blockMs: null,
  },
  {
    kind: 'bad-signatures',
    signal: 'ticket-forged',
    subject: 'system',
    threshold: 5,
    windowMs: 10 * minuteMs,
    severity: 'critical',
    blockMs: null,
  },
];

/** A threat nobody closed and nothing renewed is over after a day. */
export const threatLifetimeMs = 24 * 60 * minuteMs;

export type Subject = { kind: SubjectKind; id: string; address: string | null };

/** True at the signal that crosses the threshold, and again at each multiple: a renewed threat, not one per signal. */
export function crosses(rule: ShieldRule, count: number): boolean {
  return count > 0 && count % rule.threshold === 0;
}

/** A signal of a minute is told at its first, tenth, hundredth ... occurrence: a flood of them is no flood of events. */
export function isTold(count: number): boolean {
  return /^10*$/.test(String(count));
}
