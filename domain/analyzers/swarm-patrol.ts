import { type Check, checkOf, type CheckFinding, notConfigured } from './check.ts';
import { slowEndpointMs } from './endpoint-health.ts';
import { analyzeEnvironment, findingsOf, type EnvFileSnapshot } from './environment.ts';
import type { Issue, IssueSeverity } from './issue.ts';

/** The six checks of the patrol (LEDGER 1.2). */
export const patrolChecks = ['dns', 'endpoints', 'environment', 'quota', 'build', 'dependencies'] as const;
export type PatrolCheck = (typeof patrolChecks)[number];

export type HostSight = { host: string; addresses: number; tookMs: number; error: string | null };
export type AddressSight = { url: string; status: number | null; tookMs: number; error: string | null };
/** Shares of space and of files in use, 0 to 1; empty where the file system has no such limit. */
export type DiskSight = { path: string; space: number | null; files: number | null; error: string | null };
export type AgeSight = { path: string; ageMs: number | null; error: string | null };

type Seen = {
  dns: HostSight;
  endpoints: AddressSight;
  environment: EnvFileSnapshot;
  quota: DiskSight;
  build: AgeSight;
  dependencies: AgeSight;
};
/** Null where nothing is named to be watched. */
export type Sight<T> = { watches: string[]; seen: T[] } | { watches: string[]; failed: string } | null;
export type PatrolSnapshot = { [K in PatrolCheck]: Sight<Seen[K]> };

const dayMs = 86_400_000;
/** Names that take longer than this to find make every first request slow. */
const slowNameMs = 1000;
const fullFrom = { amber: 0.8, red: 0.95 };
/** A build is fresh for 24 h (LEDGER 1.2); the other figures are ours. */
const buildDays = { amber: 1, red: 7 };
const lockDays = { amber: 30, red: 90 };

const judges: { [K in PatrolCheck]: (seen: Seen[K][]) => CheckFinding[] } = {
  dns: (hosts) => hosts.flatMap(judgeHost),
  endpoints: (addresses) => addresses.flatMap(judgeAddress),
  environment: (files) => findingsOf(analyzeEnvironment(files)),
  quota: (disks) => disks.flatMap(judgeDisk),
  build: (builds) => builds.flatMap((build) => judgeAge(build, buildDays)),
  dependencies: (locks) => locks.flatMap((lock) => judgeAge(lock, lockDays)),
};

/**
 * Six small checks, green, amber (a medium issue) or red (high); one that could not be done is a medium issue of its own
 * (LEDGER 1.2). Differing environment files are issues of the environment analyzer: here they are a colour only.
 */
export function patrol(snapshot: PatrolSnapshot, owner = ''): { checks: Check[]; issues: Issue[] } {
  const looks = patrolChecks.map((name) => look(name, snapshot[name], owner));
  return { checks: looks.map(({ check }) => check), issues: looks.flatMap(({ issues }) => issues) };
}

function look<K extends PatrolCheck>(
  name: K,
  sight: Sight<Seen[K]>,
  owner: string,
): { check: Check; issues: Issue[] } {
  if (sight === null) return { check: notConfigured(name), issues: [] };
  const { watches } = sight;
  if ('failed' in sight) {
    const said = `the check failed: ${sight.failed}`;
    const check: Check = { name, state: 'failed', said, watches };
    return { check, issues: [issueOf(name, owner, 'medium', { item: name, said })] };
  }
  const findings = judges[name](sight.seen);
  const reported = name === 'environment' ? [] : findings;
  return {
    check: checkOf(name, watches, findings),
    issues: reported.map((one) => issueOf(name, owner, one.state === 'red' ? 'high' : 'medium', one)),
  };
}

function issueOf(
  check: PatrolCheck,
  owner: string,
  severity: IssueSeverity,
  { item, said, observed }: Pick<CheckFinding, 'item' | 'said' | 'observed'>,
): Issue {
  return {
    key: item === check ? check : `${check}:${item}`,
    analyzer: 'swarm-patrol',
    entityKind: check,
    entityId: item,
    entityName: item,
    severity,
    title: said,
    subject: { check, item },
    owner,
    evidence: [],
    ...(observed === undefined ? {} : { observed }),
  };
}

function judgeHost({ host, addresses, tookMs, error }: HostSight): CheckFinding[] {
  if (error !== null || addresses === 0)
    return [{ item: host, state: 'red', said: `does not resolve: ${error ?? 'it has no address'}` }];
  if (tookMs <= slowNameMs) return [];
  const said = `resolves slower than in ${slowNameMs} ms`;
  return [{ item: host, state: 'amber', said, observed: { tookMs: Math.round(tookMs) } }];
}

function judgeAddress({ url, status, tookMs, error }: AddressSight): CheckFinding[] {
  const observed = { status, tookMs: Math.round(tookMs) };
  if (error !== null || status === null)
    return [{ item: url, state: 'red', said: `does not answer: ${error ?? 'no status'}`, observed }];
  if (status >= 500) return [{ item: url, state: 'red', said: `answers ${status}`, observed }];
  if (status < 200 || status > 299)
    return [{ item: url, state: 'amber', said: `answers ${status}`, observed }];
  if (tookMs <= slowEndpointMs) return [];
  return [{ item: url, state: 'amber', said: `answers slower than in ${slowEndpointMs} ms`, observed }];
}

function judgeDisk({ path, space, files, error }: DiskSight): CheckFinding[] {
  if (error !== null) return [{ item: path, state: 'red', said: `cannot be looked at: ${error}` }];
  const used = Math.max(space ?? 0, files ?? 0);
  if (used < fullFrom.amber) return [];
  const what = used === space ? 'of the space' : 'of the files that it can hold';
  const said = `${Math.floor(used * 100)} % ${what} in use`;
  return [{ item: path, state: used >= fullFrom.red ? 'red' : 'amber', said, observed: { space, files } }];
}

function judgeAge({ path, ageMs, error }: AgeSight, limit: { amber: number; red: number }): CheckFinding[] {
  if (error !== null || ageMs === null)
    return [{ item: path, state: 'red', said: `cannot be looked at: ${error ?? 'it has no age'}` }];
  const days = ageMs / dayMs;
  if (days <= limit.amber) return [];
  const state = days > limit.red ? 'red' : 'amber';
  const said = `older than ${limit[state]} day${limit[state] === 1 ? '' : 's'}`;
  return [{ item: path, state, said, observed: { ageDays: Number(days.toFixed(1)) } }];
}
