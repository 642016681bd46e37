import { lookup } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AddressSight, HostSight, PatrolSnapshot, Sight } from '../domain/analyzers/swarm-patrol.ts';
import { storableText } from '../domain/json.ts';
import { explainFetchError, guardedFetch } from './guarded-fetch.ts';
import type { Watched } from './watched.ts';
import { readAge, readDisk, readEnvFile } from './watched-files.ts';

/** A check has this long; the activity around all of them has 30 s. */
const checkMs = 10_000;
const maxReason = 200;

/** Looks at everything that is watched at once; a check that breaks or takes too long blinds no other. */
export async function lookAround(
  watched: Watched,
  { limitMs = checkMs, nowMs }: { limitMs?: number; nowMs: number },
): Promise<PatrolSnapshot> {
  const check = <T>(items: string[], see: (item: string) => Promise<T>): Promise<Sight<T>> =>
    within(items, limitMs, () => Promise.all(items.map(see)));
  const [dns, endpoints, environment, quota, build, dependencies] = await Promise.all([
    check(watched.hosts, resolve),
    check(watched.healthUrls, (url) => ask(url, watched.allowPrivateNetwork, limitMs / 2)),
    check(watched.envFiles, readEnvFile),
    check(watched.disks, readDisk),
    check(watched.builds, (path) => readAge(path, nowMs)),
    check(watched.lockFiles, (path) => readAge(path, nowMs)),
  ]);
  return { dns, endpoints, environment, quota, build, dependencies };
}

/** Names and file systems that do not answer cannot be interrupted: they are left to themselves. */
export async function within<T>(
  watches: string[],
  limitMs: number,
  look: () => Promise<T[]>,
): Promise<Sight<T>> {
  if (watches.length === 0) return null;
  const done = new AbortController();
  const late = async (): Promise<Sight<T>> => {
    await sleep(limitMs, undefined, { signal: done.signal });
    return { watches, failed: `it took longer than ${limitMs} ms` };
  };
  try {
    return await Promise.race([look().then((seen) => ({ watches, seen })), late()]);
  } catch (error) {
    return { watches, failed: reasonOf(error instanceof Error ? error.message : String(error)) };
  } finally {
    done.abort();
  }
}

async function resolve(host: string): Promise<HostSight> {
  const startedAt = performance.now();
  const seen = (addresses: number, error: string | null): HostSight => ({
    ...{ host, addresses, error },
    tookMs: performance.now() - startedAt,
  });
  try {
    return seen((await lookup(host, { all: true })).length, null);
  } catch (error) {
    return seen(0, error instanceof Error && 'code' in error ? String(error.code) : 'unknown error');
  }
}

async function ask(url: string, allowPrivateNetwork: boolean, timeoutMs: number): Promise<AddressSight> {
  const startedAt = performance.now();
  const seen = (status: number | null, error: string | null): AddressSight => ({
    ...{ url, status, error },
    tookMs: performance.now() - startedAt,
  });
  try {
    const { status } = await guardedFetch({
      ...{ url, method: 'GET', headers: { 'user-agent': 'dreamnet-swarm-patrol' }, body: null },
      ...{ timeoutMs, maxBytes: 1024, allowPrivateNetwork },
    });
    return seen(status, null);
  } catch (error) {
    return seen(null, reasonOf(explainFetchError(error)));
  }
}

function reasonOf(message: string): string {
  return storableText(message.slice(0, maxReason));
}
