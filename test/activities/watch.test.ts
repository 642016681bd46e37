import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createHaloActivities } from '../../activities/halo.ts';
import { lookAround, within } from '../../activities/patrol.ts';
import { nothingWatched, type Watched } from '../../activities/watched.ts';
import { readAge, readDisk, readEnvFile } from '../../activities/watched-files.ts';
import { listHaloIssues } from '../../db/halo.ts';
import { lastLooks } from '../../db/halo-looks.ts';
import { newId } from '../../db/ids.ts';
import { type Check, checkStates } from '../../domain/analyzers/check.ts';
import { analyzers } from '../../domain/analyzers/issue.ts';
import { patrol } from '../../domain/analyzers/swarm-patrol.ts';
import { detectWeakPoints } from '../../domain/halo.ts';
import { defaultHaloLimits } from '../../domain/halo-loop.ts';
import { planTasks } from '../../domain/plan.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { createTestApi, keysOf } from '../support/api.ts';

let database: TestDatabase;
let people: People;
let folder: string;
let server: Server;
let at: string;
const hour = 3_600_000;

beforeAll(async () => {
  database = await openTestDatabase(20);
  people = await createPeople(database);
  folder = mkdtempSync(join(tmpdir(), 'dreamnet-watch-'));
  server = createServer((request, response) => {
    if (request.url === '/silent') return undefined;
    return response.writeHead(request.url === '/ok' ? 200 : 500).end('secret-of-the-body');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

function write(name: string, content: string | Uint8Array, ageMs = 0): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  const changed = new Date(Date.now() - ageMs);
  utimesSync(path, changed, changed);
  return path;
}

async function lookAt(given: Partial<Watched>, limitMs = 20_000): Promise<Record<string, Check>> {
  const snapshot = await lookAround({ ...nothingWatched, ...given }, { nowMs: Date.now(), limitMs });
  return Object.fromEntries(patrol(snapshot).checks.map((check) => [check.name, check]));
}

describe('a watched file', () => {
  test('is read, also behind a link', async () => {
    const path = write('real.env', 'A=1');
    symlinkSync(path, join(folder, 'linked.env'));
    for (const one of [path, join(folder, 'linked.env')])
      expect(await readEnvFile(one)).toEqual({
        path: one,
        file: { values: new Map([['A', '1']]), problems: [] },
      });
  });

  test('of exactly 256 KiB is read, a larger one is not', async () => {
    const full = `A=${'x'.repeat(256 * 1024 - 2)}`;
    expect(await readEnvFile(write('full.env', full))).toMatchObject({ file: { problems: [] } });
    const unread = { unread: 'it is larger than 256 KiB' };
    expect(await readEnvFile(write('larger.env', `${full}x`))).toMatchObject(unread);
  });

  test('that cannot be read says why: gone, a folder, a pipe, no text', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    const unread = async (path: string): Promise<unknown> => {
      const found = await readEnvFile(path);
      return 'unread' in found ? found.unread : found;
    };
    expect(await unread(join(folder, 'gone.env'))).toBe('there is no such file');
    expect(await unread(folder)).toBe('it is no regular file');
    expect(await unread(join(folder, 'pipe'))).toBe('it is no regular file');
    expect(await unread(write('null.env', 'A=\0'))).toBe('it is no text');
    expect(await unread(write('latin.env', Uint8Array.of(65, 61, 0xe9)))).toBe('it is no text');
  });

  test('has an age, a disk has shares in use; what is not there says so', async () => {
    const now = Date.now();
    expect(await readAge(write('built.js', '', hour), now)).toMatchObject({ error: null });
    expect((await readAge(write('built.js', '', hour), now)).ageMs).toBeCloseTo(hour, -4);
    expect((await readDisk(folder)).space).toBeGreaterThan(0);
    const gone = { error: 'there is no such file' };
    expect(await readAge(join(folder, 'gone'), now)).toMatchObject(gone);
    expect(await readDisk(join(folder, 'gone'))).toMatchObject(gone);
  });
});

describe('the patrol', () => {
  test('asks health endpoints: one that answers, one that fails, one that is silent', async () => {
    const stateOf = async (path: string, limitMs?: number) => {
      const given = { healthUrls: [`${at}${path}`], allowPrivateNetwork: true };
      return (await lookAt(given, limitMs)).endpoints;
    };
    expect(await stateOf('/ok')).toMatchObject({ state: 'green', watches: [`${at}/ok`] });
    expect(await stateOf('/broken')).toMatchObject({ state: 'red', said: `${at}/broken: answers 500` });
    const silent = await stateOf('/silent', 2_000);
    expect(silent).toMatchObject({ state: 'red', said: `${at}/silent: does not answer: timed out` });
  });

  test('does not reach private addresses unless that is allowed', async () => {
    const { endpoints } = await lookAt({ healthUrls: [`${at}/ok`] });
    expect(endpoints).toMatchObject({ state: 'red', said: expect.stringContaining('not a public address') });
  });

  test('resolves names as programs do', async () => {
    expect((await lookAt({ hosts: ['localhost'] })).dns).toMatchObject({ state: 'green' });
    const { dns } = await lookAt({ hosts: ['localhost', 'gone.invalid'] });
    expect(dns).toMatchObject({
      state: 'red',
      said: expect.stringContaining('gone.invalid: does not resolve'),
    });
  });

  test('sees how old builds and lock files are, and how the files of the environment differ', async () => {
    const seen = await lookAt({
      builds: [write('fresh.js', '', 23 * hour)],
      lockFiles: [write('lock.json', '', 31 * 24 * hour)],
      envFiles: [write('a.env', 'A=1'), write('b.env', 'A=2')],
      disks: [folder],
    });
    expect(seen).toMatchObject({
      build: { state: 'green' },
      dependencies: { state: 'amber' },
      environment: { state: 'amber' },
      dns: { state: 'not-configured' },
      endpoints: { state: 'not-configured' },
    });
    expect(['green', 'amber', 'red']).toContain(seen.quota?.state);
  });

  test('a check that never ends, or breaks, fails alone', async () => {
    const never = await within(['x'], 20, () => new Promise<string[]>(() => undefined));
    expect(never).toEqual({ watches: ['x'], failed: 'it took longer than 20 ms' });
    const broken = await within(['x'], 5_000, () => Promise.reject(new Error('no resolver')));
    expect(broken).toEqual({ watches: ['x'], failed: 'no resolver' });
    expect(await within([], 20, () => Promise.reject(new Error('not asked')))).toBeNull();
  });
});

describe('in a cycle', () => {
  const secrets = ['s3cret-value-one', 's3cret-value-two', 's3cret-of-many-lines'];
  const watch = (given: Partial<Watched>) =>
    createHaloActivities({ database, limits: defaultHaloLimits, watched: { ...nothingWatched, ...given } });

  async function aCycle(given: Partial<Watched>) {
    const { beginCycle, examine, recordIssues } = watch(given);
    const cycleId = newId('cyc');
    const run = { workflowId: `halo-cycle/${cycleId}`, runId: 'run-1' };
    await beginCycle({ cycleId, mode: 'full', trigger: {}, ...run });
    const looks = await Promise.all(
      analyzers.map(async (analyzer) => ({ analyzer, ...(await examine({ cycleId, analyzer })) })),
    );
    const issues = looks.flatMap((look) => look.issues);
    const weakPoints = detectWeakPoints(issues);
    const analyses = looks.map((look) => ({ ...look, state: 'done' as const, issues: look.issues.length }));
    await recordIssues({ cycleId, issues, weakPoints, analyses });
    return { cycleId, issues, weakPoints };
  }

  const drifting = () => [
    write('first.env', `TOKEN=${secrets[0]}\nGONE=1\nPEM="${secrets[2]}\n${secrets[2]}=x"`),
    write('second.env', `TOKEN=${secrets[1]}\nPEM=changeme\n${secrets[2]}\n${secrets[2]}==\n`),
  ];

  test('no value of an environment file is in an issue, a proposal, an event, the audit or the view', async () => {
    const { cycleId, issues, weakPoints } = await aCycle({ envFiles: drifting(), owner: people.admin });
    expect(issues.map(({ severity }) => severity)).toEqual(['high', 'medium', 'medium', 'low']);
    const proposals = planTasks(weakPoints);
    expect(proposals).toMatchObject([{ type: 'env.sync', severity: 'high', requestedBy: people.admin }]);
    const tasks = await watch({}).proposeTasks({ cycleId, proposals });
    expect(tasks).toMatchObject([{ state: 'pending-approval', target: `environment:${folder}/second.env` }]);
    const stored = await listHaloIssues(database.db, cycleId);
    const events = await database.root`select * from events where correlation_id = ${cycleId}`;
    const audit = await database.root`select * from audit_entries where subject_id = ${cycleId}`;
    expect([stored.length, events.length > 0, audit.length > 0]).toEqual([4, true, true]);
    const { call } = createTestApi(database);
    const { operator } = await keysOf(database, people);
    const shown = await call('GET', '/v1/halo/analyzers', { as: operator });
    expect(shown.status).toBe(200);
    const all = JSON.stringify([issues, proposals, tasks, stored, events, audit, shown.body]);
    expect(all).toContain('TOKEN');
    for (const secret of secrets) expect(all).not.toContain(secret);
  });

  test('without an owner, or with one who is not there, findings are reported and nothing is proposed', async () => {
    for (const owner of [null, 'prn_nobody']) {
      const { issues, weakPoints } = await aCycle({ envFiles: drifting(), owner });
      expect(issues).toHaveLength(4);
      expect(planTasks(weakPoints)).toEqual([]);
    }
  });

  test('nothing to watch is no issue, and not green either', async () => {
    const { issues } = await aCycle({});
    expect(issues).toEqual([]);
    const looks = await lastLooks(database.db);
    const states = [...looks.values()].flatMap(({ checks = [] }) => checks.map(({ state }) => state));
    expect(states).toEqual(Array.from({ length: 7 }, () => 'not-configured'));
  });

  test('the API shows each analyzer with its last look, and how its checks stood', async () => {
    const { cycleId } = await aCycle({ hosts: ['localhost'], builds: [join(folder, 'gone')] });
    const { call } = createTestApi(database);
    const { operator } = await keysOf(database, people);
    const { status, body } = await call('GET', '/v1/halo/analyzers', { as: operator });
    expect(status).toBe(200);
    expect(body.items.map(({ name }: { name: string }) => name)).toEqual(analyzers);
    expect(body.planned).toMatchObject([{ name: 'graft-health' }, { name: 'repository-integrity' }]);
    const [endpoints, , , environment, swarm] = body.items;
    expect(endpoints).toMatchObject({ modes: ['full', 'light'], checks: [], health: null });
    expect(environment).toMatchObject({ checks: [{ name: 'files', state: 'not-configured' }], health: null });
    expect(swarm).toMatchObject({
      modes: ['full'],
      lastLook: { cycleId, state: 'done', issues: 1 },
      health: 0.5,
      checks: [
        { name: 'dns', state: 'green', watches: ['localhost'] },
        ...['endpoints', 'environment', 'quota'].map((name) => ({ name, state: 'not-configured' })),
        { name: 'build', state: 'red', said: expect.stringContaining('there is no such file') },
        { name: 'dependencies', state: 'not-configured' },
      ],
    });
    for (const check of swarm.checks) expect(checkStates).toContain(check.state);
  });

  test('a light cycle leaves the last look of an analyzer that it did not run', async () => {
    const { cycleId } = await aCycle({});
    const light = newId('cyc');
    const { beginCycle, recordIssues } = watch({});
    await beginCycle({ cycleId: light, mode: 'light', trigger: {}, workflowId: light, runId: 'run-1' });
    const analyses = [{ analyzer: 'environment', state: 'failed', tookMs: 0, issues: 1 } as const];
    await recordIssues({ cycleId: light, issues: [], weakPoints: [], analyses });
    const looks = await lastLooks(database.db);
    expect(looks.get('environment')).toMatchObject({ cycleId: light, state: 'failed' });
    expect(looks.get('swarm-patrol')).toMatchObject({ cycleId });
  });

  test('before any cycle there is no look', async () => {
    const fresh = await openTestDatabase(3);
    const { call } = createTestApi(fresh);
    const { admin } = await keysOf(fresh, await createPeople(fresh));
    const { body } = await call('GET', '/v1/halo/analyzers', { as: admin });
    for (const item of body.items) expect(item).toMatchObject({ lastLook: null, checks: [], health: null });
  });
});
