import { visible } from './escape.ts';
import { instant } from './format.ts';
import type { Cell, Output } from './output.ts';
import type { KillSwitch } from './views.ts';

export const switchHeads = [
  'SCOPE',
  'STATE',
  'LEVEL',
  'EPOCH',
  'RUNNING',
  'PARKED',
  'DRAINED',
  'BY',
  'SINCE',
  'REASON',
];

const styles = { engaged: 'red', draining: 'yellow', released: 'green' } as const;

export function switchRow(each: KillSwitch): Cell[] {
  const { scope, state, level, epoch, held, release, engagedBy, engagedAt, reason } = each;
  const [by, since, why] =
    release === null ? [engagedBy, engagedAt, reason] : [release.by, release.at, release.reason];
  return [
    scope,
    { text: state, style: styles[state] },
    level,
    String(epoch),
    String(held.running),
    String(held.parked),
    release === null ? '-' : `${release.drained} at ${release.perMinute}/min`,
    by.name ?? by.id,
    instant(since),
    why,
  ];
}

/** One switch as sentences, loud while it is engaged. */
export function switchLines(out: Output, { scope, state, level, ...rest }: KillSwitch): string[] {
  const { engagedBy, engagedAt, reason, held, release } = rest;
  const who = (by: KillSwitch['engagedBy']): string => by.name ?? by.id;
  if (state === 'engaged')
    return [
      out.paint('red', visible(`KILL SWITCH ENGAGED over ${scope}: nothing above ${level}`)),
      visible(`  by ${who(engagedBy)} at ${instant(engagedAt)}: ${reason}`),
      `  ${held.running} running, ${held.waiting} waiting, ${held.parked} parked`,
    ];
  if (release === null) return [];
  return [
    out.paint('yellow', visible(`Kill switch over ${scope}: ${state}`)),
    visible(`  released by ${who(release.by)} at ${instant(release.at)}: ${release.reason}`),
    `  ${held.parked} parked, ${release.drained} let go, ${release.perMinute} a minute`,
  ];
}
