import { describe, expect, test } from 'vitest';
import { arriveAt, clusterState, installationPlace } from '../../domain/bridge.ts';
import { maxHops } from '../../domain/events.ts';

const here = installationPlace('a'.repeat(64));

describe('the path of an event', () => {
  test('gets the place it arrives at behind those it came through', () => {
    expect(here).toBe('cluster:aaaaaaaaaaaaaaaa');
    expect(arriveAt([], here)).toEqual([here]);
    expect(arriveAt(['cluster:b', 'wormhole:w'], here)).toEqual(['cluster:b', 'wormhole:w', here]);
  });

  test('refuses a second arrival, wherever the first one lies', () => {
    expect(arriveAt([here], here)).toMatchObject({ refused: 'CONFLICT' });
    expect(arriveAt(['cluster:b', here, 'cluster:c'], here)).toMatchObject({ refused: 'CONFLICT' });
  });

  test('refuses what came through too many places', () => {
    const places = (count: number) => Array.from({ length: count }, (_, at) => `cluster:${at}`);
    expect(arriveAt(places(maxHops - 1), here)).toHaveLength(maxHops);
    expect(arriveAt(places(maxHops), here)).toMatchObject({ refused: 'CONFLICT' });
  });
});

test.each([
  [{ enabled: true, backlog: 0, backlogLimit: 1 }, 'open'],
  [{ enabled: true, backlog: 1, backlogLimit: 1 }, 'throttled'],
  [{ enabled: false, backlog: 9, backlogLimit: 1 }, 'off'],
])('a cluster with %j is %s', (cluster, state) => {
  expect(clusterState(cluster)).toBe(state);
});
