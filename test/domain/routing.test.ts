import { describe, expect, test } from 'vitest';
import { maxHops } from '../../domain/events.ts';
import { reasonAgainst, type Routable } from '../../domain/routing.ts';
import { lanesOf } from '../../domain/subscription.ts';
import { aLoggedEvent } from '../support/events.ts';

function aRoutable(given: Partial<Routable> = {}): Routable {
  return {
    key: 'sub',
    strategy: 'broadcast',
    match: { types: [], minSeverity: 'info', excludeSourceTypes: [] },
    filter: null,
    enabled: true,
    ...given,
  };
}

const open = aRoutable().match;
const stations = (count: number) => Array.from({ length: count }, (_, index) => `wormhole:${index}`);

describe('the router', () => {
  test('tells for each subscription whether it gets the event, and why not', () => {
    const event = aLoggedEvent({ type: 'shop.order.failed', destination: 'billing' });
    const subscriptions = [
      aRoutable({ key: 'all' }),
      aRoutable({ key: 'billing', strategy: 'direct', match: { ...open, destination: 'billing' } }),
      aRoutable({ key: 'shipping', strategy: 'direct', match: { ...open, destination: 'shipping' } }),
      aRoutable({ key: 'other', match: { ...open, types: ['halo.*'] } }),
      aRoutable({ key: 'off', enabled: false }),
      aRoutable({ key: 'yes', strategy: 'filtered', filter: { matches: () => true } }),
      aRoutable({ key: 'no', strategy: 'filtered', filter: { matches: () => false } }),
    ];
    const said = subscriptions.map((each) => ({
      subscription: each.key,
      because: reasonAgainst(each, event),
    }));
    expect(said.filter(({ because }) => because === null).map(({ subscription }) => subscription)).toEqual([
      'all',
      'billing',
      'yes',
    ]);
    for (const one of said) expect(one.because).not.toBe('');
    expect(said[2]).toMatchObject({ because: expect.stringContaining('billing') });
  });

  test('a direct subscription gets nothing that is for everybody, also when it names no destination', () => {
    const event = aLoggedEvent();
    expect(reasonAgainst(aRoutable({ strategy: 'direct' }), event)).not.toBeNull();
    expect(
      reasonAgainst(aRoutable({ strategy: 'direct', match: { ...open, destination: 'x' } }), event),
    ).not.toBeNull();
  });

  test('what names a destination still goes to every other kind of subscription that matches', () => {
    for (const strategy of ['broadcast', 'priority', 'balanced'] as const)
      expect(reasonAgainst(aRoutable({ strategy }), aLoggedEvent({ destination: 'billing' }))).toBeNull();
  });

  test('a filtered subscription without a filter gets nothing', () => {
    expect(reasonAgainst(aRoutable({ strategy: 'filtered' }), aLoggedEvent())).not.toBeNull();
  });

  test(`an event that has come through more than ${maxHops} stations goes nowhere`, () => {
    expect(reasonAgainst(aRoutable(), aLoggedEvent({ path: stations(maxHops) }))).toBeNull();
    expect(reasonAgainst(aRoutable(), aLoggedEvent({ path: stations(maxHops + 1) }))).toContain('stations');
  });
});

describe('the lanes of a subscription', () => {
  test.each([
    ['broadcast', 3, ['all']],
    ['direct', 1, ['all']],
    ['filtered', 1, ['all']],
    ['priority', 1, ['critical', 'high', 'normal', 'low']],
    ['balanced', 3, ['0', '1', '2']],
  ] as const)('of the strategy %s with %i consumers', (strategy, consumers, lanes) => {
    expect(lanesOf({ strategy, consumers })).toEqual(lanes);
  });
});
