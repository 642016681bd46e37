import { describe, expect, test } from 'vitest';
import { severities, sourceTypes } from '../../domain/events.ts';
import { type EventMatch, haloSubscription, matchesEvent } from '../../domain/subscription.ts';

const failed = {
  type: 'api.endpoint.failed',
  severity: 'critical',
  sourceType: 'api',
  sourceId: 'prb_1',
} as const;
const open: EventMatch = { types: [], minSeverity: 'info', excludeSourceTypes: [] };

describe('matchesEvent', () => {
  test.each<[string, Partial<EventMatch>, boolean]>([
    ['an empty list of types takes every type', {}, true],
    ['the exact type', { types: ['api.endpoint.failed'] }, true],
    ['another type', { types: ['api.endpoint.success'] }, false],
    ['one of several', { types: ['x', 'api.endpoint.failed'] }, true],
    ['a prefix', { types: ['api.*'] }, true],
    ['a prefix of another word', { types: ['ap.*'] }, false],
    ['a star alone', { types: ['*'] }, true],
    ['a type without a star is no prefix', { types: ['api.endpoint'] }, false],
    ['the severity itself', { minSeverity: 'critical' }, true],
    ['an excluded source', { excludeSourceTypes: ['api'] }, false],
    ['another excluded source', { excludeSourceTypes: ['halo'] }, true],
    ['no source named', { sources: [] }, true],
    ['the source itself', { sources: ['system:x', 'api:prb_1'] }, true],
    ['all sources of a type', { sources: ['api:*'] }, true],
    ['a source whose id only begins like it', { sources: ['api:prb'] }, false],
    ['the same id of another type', { sources: ['system:prb_1'] }, false],
  ])('%s: %s', (_what, match, expected) => {
    expect(matchesEvent({ ...open, ...match }, failed)).toBe(expected);
  });

  test.each(
    severities.flatMap((minSeverity) => severities.map((severity) => [minSeverity, severity] as const)),
  )('from %s on, an event of severity %s', (minSeverity, severity) => {
    const expected = severities.indexOf(severity) >= severities.indexOf(minSeverity);
    expect(matchesEvent({ ...open, minSeverity }, { ...failed, severity })).toBe(expected);
  });
});

describe('what wakes HALO', () => {
  test.each(['squad.task.failed', 'api.endpoint.failed', 'graft.install.failed', 'agent.error'])(
    '%s at error or critical does',
    (type) => {
      const woken = severities.filter((severity) =>
        matchesEvent(haloSubscription.match, { ...failed, type, severity }),
      );
      expect(woken).toEqual(['error', 'critical']);
    },
  );

  test.each(severities)('an event of HALO itself never does, even at severity %s (K7)', (severity) => {
    for (const type of [...haloSubscription.match.types, 'halo.weakpoint.critical'])
      expect(matchesEvent(haloSubscription.match, { ...failed, type, severity, sourceType: 'halo' })).toBe(
        false,
      );
  });

  test.each(sourceTypes.filter((source) => source !== 'halo'))('an error of source %s does', (sourceType) => {
    expect(matchesEvent(haloSubscription.match, { ...failed, sourceType })).toBe(true);
  });

  test.each(['squad.task.created', 'api.endpoint.success', 'halo.cycle.completed', 'agent.errors'])(
    '%s does not, however critical',
    (type) => {
      expect(matchesEvent(haloSubscription.match, { ...failed, type })).toBe(false);
    },
  );
});
