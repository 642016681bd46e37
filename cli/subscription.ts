import { duration, instant, linkLine } from './format.ts';
import { facts, type Output, table } from './output.ts';
import type { Subscription } from './bus-views.ts';

/** Where a subscription's events go. */
export function targetOf({ handler }: Subscription): string {
  const place = handler.origin ?? handler.workflowId;
  return typeof place === 'string' ? place : handler.kind;
}

export function backlogOf({ backlog }: Pick<Subscription, 'backlog'>): string {
  return `${backlog.events}${backlog.isMore ? '+' : ''}`;
}

function matchLine({ match }: Subscription): string {
  const { types, minSeverity, sources, excludeSourceTypes, destination, filter } = match;
  return [
    types.length === 0 ? 'every type' : types.join(', '),
    ...(minSeverity === 'info' ? [] : [`from ${minSeverity}`]),
    ...(sources === undefined ? [] : [`of ${sources.join(', ')}`]),
    ...(excludeSourceTypes.length === 0 ? [] : [`not of ${excludeSourceTypes.join(', ')}`]),
    ...(destination === undefined ? [] : [`for ${destination}`]),
    ...(filter === undefined ? [] : [`where ${filter}`]),
  ].join('; ');
}

/** A subscription as a person reads it. */
export function describeSubscription(out: Output, one: Subscription): string[] {
  const { retry, pause } = one;
  const lines = facts(out, [
    ['subscription', one.key],
    ['description', one.description === '' ? null : one.description],
    ['state', one.state],
    [
      'paused',
      pause === null
        ? null
        : `${instant(pause.at)} by ${pause.by ?? '?'}: ${pause.reason ?? 'no reason given'}`,
    ],
    ['owner', one.owner ?? 'this system'],
    ['handler', one.handler.kind],
    ['to', targetOf(one)],
    ['match', matchLine(one)],
    ['strategy', one.strategy],
    [
      'retry',
      `${retry.maxAttempts} attempts, ${duration(retry.backoffMs / 1000)} to ${duration(retry.maxBackoffMs / 1000)}`,
    ],
    ['deadline', one.deadlineMs === null ? null : duration(one.deadlineMs / 1000)],
    ['backlog', backlogOf(one)],
    ['lag', duration(one.lagSeconds)],
    ['delivered', one.delivered],
    ['pending', one.pendingDeliveries],
    ['dead letters', one.openDeadLetters],
    ['version', one.version],
  ]);
  const rows = one.lanes.map((lane) => [
    lane.lane,
    backlogOf(lane),
    duration(lane.lagSeconds),
    String(lane.delivered),
  ]);
  const lanes = one.lanes.length < 2 ? [] : table(out, ['LANE', 'BACKLOG', 'LAG', 'DELIVERED'], rows);
  return [...lines, ...lanes, linkLine(out, one.temporal)];
}
