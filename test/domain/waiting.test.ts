import { describe, expect, test } from 'vitest';
import {
  afterDue,
  type Due,
  maxReminders,
  nextDue,
  timetable,
  type Timetable,
} from '../../domain/waiting.ts';
import type { Waiting } from '../../domain/approval.ts';

/** Everything that becomes due until the expiry, in order, each done the moment it is due. */
function played(waiting: Waiting): [Due, number][] {
  let times: Timetable = timetable(waiting, 0);
  const done: [Due, number][] = [];
  for (;;) {
    const { what, atMs } = nextDue(times);
    done.push([what, atMs]);
    if (what === 'expiry') return done;
    times = afterDue(times, what, atMs);
  }
}

describe('what becomes due while an approval waits', () => {
  test('a run from before there were reminders only expires', () => {
    expect(played({ expiresInMs: 1000 })).toEqual([['expiry', 1000]]);
    expect(played({ expiresInMs: 1000, remindEveryMs: null, escalateAfterMs: null })).toHaveLength(1);
  });

  test('reminders come again and again, one escalation, and nothing behind the expiry', () => {
    expect(played({ expiresInMs: 72, remindEveryMs: 24, escalateAfterMs: 48 })).toEqual([
      ['reminder', 24],
      ['escalation', 48],
      ['reminder', 48],
      ['expiry', 72],
    ]);
    expect(played({ expiresInMs: 10, remindEveryMs: 24, escalateAfterMs: 48 })).toEqual([['expiry', 10]]);
  });

  test('a run that takes over a wait goes on with what is left of it', () => {
    expect(played({ expiresInMs: 72, remindEveryMs: 24, remindAfterMs: 3 })[0]).toEqual(['reminder', 3]);
  });

  test('however short the interval is, a run reminds no more often than its history can hold', () => {
    const reminders = played({ expiresInMs: 1_000_000, remindEveryMs: 1 }).filter(
      ([what]) => what === 'reminder',
    );
    expect(reminders.length).toBeLessThanOrEqual(maxReminders);
  });
});
