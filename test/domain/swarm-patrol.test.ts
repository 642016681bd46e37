import { describe, expect, test } from 'vitest';
import { healthOf } from '../../domain/analyzers/check.ts';
import { parseEnvFile } from '../../domain/analyzers/env-file.ts';
import { patrol, patrolChecks, type PatrolSnapshot } from '../../domain/analyzers/swarm-patrol.ts';

const nothing: PatrolSnapshot = {
  ...{ dns: null, endpoints: null, environment: null },
  ...{ quota: null, build: null, dependencies: null },
};
const look = (given: Partial<PatrolSnapshot>, owner = '') => patrol({ ...nothing, ...given }, owner);
const day = 86_400_000;

const host = (given: object) => ({
  dns: { watches: ['shop'], seen: [{ host: 'shop', addresses: 1, tookMs: 5, error: null, ...given }] },
});
const address = (given: object) => ({
  endpoints: {
    watches: ['http://a/'],
    seen: [{ url: 'http://a/', status: 200, tookMs: 5, error: null, ...given }],
  },
});
const disk = (given: object) => ({
  quota: { watches: ['/d'], seen: [{ path: '/d', space: 0.5, files: 0.5, error: null, ...given }] },
});
const build = (days: number) => ({
  build: { watches: ['/b'], seen: [{ path: '/b', ageMs: days * day, error: null }] },
});
const lock = (days: number) => ({
  dependencies: { watches: ['/l'], seen: [{ path: '/l', ageMs: days * day, error: null }] },
});
const gone = { path: '/gone', ageMs: null, error: 'there is no such file' };

describe('the swarm patrol', () => {
  test('has the six checks of the ledger; what is not configured is not green and no issue', () => {
    const { checks, issues } = look({});
    expect(checks.map(({ name, state }) => [name, state])).toEqual(
      patrolChecks.map((name) => [name, 'not-configured']),
    );
    expect(issues).toEqual([]);
    expect(healthOf(checks)).toBeNull();
  });

  test.each<[string, Partial<PatrolSnapshot>, string]>([
    ['a name that resolves', host({}), 'green'],
    ['a name that resolves in 1,000 ms', host({ tookMs: 1000 }), 'green'],
    ['a name that resolves slower', host({ tookMs: 1001 }), 'amber'],
    ['a name that does not resolve', host({ addresses: 0, error: 'ENOTFOUND' }), 'red'],
    ['a name without an address', host({ addresses: 0 }), 'red'],
    ['an address that answers 200', address({}), 'green'],
    ['one that answers 204 in 2,500 ms', address({ status: 204, tookMs: 2500 }), 'green'],
    ['one that answers slower', address({ tookMs: 2501 }), 'amber'],
    ['one that answers 302', address({ status: 302 }), 'amber'],
    ['one that answers 404', address({ status: 404 }), 'amber'],
    ['one that answers 500', address({ status: 500 }), 'red'],
    ['one that does not answer', address({ status: null, error: 'timed out' }), 'red'],
    ['a disk with room', disk({ space: 0.799 }), 'green'],
    ['a disk that fills', disk({ space: 0.8 }), 'amber'],
    ['a disk that is full', disk({ space: 0.95 }), 'red'],
    ['a disk without room for more files', disk({ files: 0.99 }), 'red'],
    ['a disk without such limits', disk({ space: null, files: null }), 'green'],
    ['a build of exactly 24 hours', build(1), 'green'],
    ['an older build', build(1.01), 'amber'],
    ['a build older than a week', build(7.01), 'red'],
    ['a build that is not there', { build: { watches: ['/gone'], seen: [gone] } }, 'red'],
    ['a lock file of 30 days', lock(30), 'green'],
    ['an older lock file', lock(30.1), 'amber'],
    ['a lock file older than 90 days', lock(90.1), 'red'],
    ['a lock file that is not there', { dependencies: { watches: ['/gone'], seen: [gone] } }, 'red'],
  ])('%s: %s', (_what, given, state) => {
    const { checks, issues } = look(given);
    const configured = checks.filter((check) => check.state !== 'not-configured');
    expect(configured.map((check) => check.state)).toEqual([state]);
    const severity = { green: [], amber: ['medium'], red: ['high'] }[state];
    expect(issues.map((issue) => issue.severity)).toEqual(severity);
  });

  test('environment files are a colour here, and issues of their own analyzer', () => {
    const file = (path: string, text: string) => ({ path, file: parseEnvFile(text) });
    const drift = (text: string) =>
      look({ environment: { watches: ['/a', '/b'], seen: [file('/a', 'A=1'), file('/b', text)] } });
    for (const [text, state] of Object.entries({ 'A=1': 'green', 'A=2': 'amber', 'B=1': 'red' })) {
      expect(drift(text).checks[2]).toMatchObject({ name: 'environment', state });
      expect(drift(text).issues).toEqual([]);
    }
  });

  test('a check that could not be done is an issue of that check, and says nothing of the others', () => {
    const { checks, issues } = look({ ...build(0), dns: { watches: ['shop'], failed: 'too late' } }, 'prn_1');
    expect(checks).toMatchObject([
      { name: 'dns', state: 'failed', watches: ['shop'] },
      {},
      {},
      {},
      { state: 'green' },
      {},
    ]);
    expect(issues).toMatchObject([
      { key: 'dns', severity: 'medium', title: 'the check failed: too late', owner: 'prn_1' },
    ]);
    expect(healthOf(checks)).toBe(0.5);
  });

  test('an issue is about the watched thing, with its figures outside of what an approval is bound to', () => {
    expect(look(address({ status: 503 }), 'prn_1').issues).toMatchObject([
      {
        ...{ key: 'endpoints:http://a/', analyzer: 'swarm-patrol', entityId: 'http://a/', owner: 'prn_1' },
        ...{
          title: 'answers 503',
          subject: { check: 'endpoints', item: 'http://a/' },
          observed: { status: 503 },
        },
      },
    ]);
  });

  test('a check is as bad as the worst of what it watches, and names the first three', () => {
    const seen = ['a', 'b', 'c', 'd'].map((name) => ({ ...gone, path: `/${name}` }));
    const { checks } = look({
      build: { watches: [], seen: [{ path: '/old', ageMs: 2 * day, error: null }, ...seen] },
    });
    expect(checks[4]).toMatchObject({ state: 'red' });
    expect(checks[4]?.said).toMatch(/^\/old: older than 1 day; \/a: .*; \/b: .*; and 2 more$/);
  });
});
