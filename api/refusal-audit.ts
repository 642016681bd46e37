import { getConnInfo } from '@hono/node-server/conninfo';
import { matchedRoutes } from 'hono/route';
import type { Logger } from 'pino';
import { auditRefusal, type AuditStatement } from '../db/change.ts';
import type { Database } from '../db/client.ts';
import { newId } from '../db/ids.ts';
import type { Principal } from '../domain/access.ts';
import { storableText } from '../domain/json.ts';
import { parseKey } from '../domain/key.ts';
import type { ApiContext, RefusalAudit } from './context.ts';
import { describeError } from './problems.ts';

type Deps = { database: Database; log: Logger; perSource?: number; inAll?: number; windowMs?: number };

const audited: number[] = [401, 403, 409];
const unknown = 'unauthenticated';

/**
 * Refusals are part of the record (TRUST 4.47): who is not known (401), may not (403) or comes too late (409). Being
 * refused costs nothing, so the entries of one source within a minute are bounded, and so are all together; the ones
 * left out are counted and written as one entry when the minute is over.
 */
export function createRefusalAudit(deps: Deps): RefusalAudit {
  const { perSource = 60, inAll = 600, windowMs = 60_000 } = deps;
  const underway = new Set<Promise<void>>();
  let written = 0;
  let sources = new Map<string, { written: number; left: number }>();
  let window: NodeJS.Timeout | null = null;

  /** False when this one is only counted. */
  function isWithin(source: string): boolean {
    if (window === null) {
      window = setTimeout(() => void flush(), windowMs);
      window.unref();
    }
    // Once all places are taken, further sources share one count: nobody fills the memory either.
    const key = written < inAll || sources.has(source) ? source : 'others';
    const count = sources.get(key) ?? { written: 0, left: 0 };
    sources.set(key, count);
    if (count.written >= perSource || written >= inAll) {
      count.left += 1;
      return false;
    }
    count.written += 1;
    written += 1;
    return true;
  }

  async function write(audit: AuditStatement, refused: string, message: string): Promise<void> {
    try {
      // An id of our own: the caller chooses the request id, and an operation of the same key would not be written.
      await auditRefusal(deps.database.db, `api.refuse:${newId('ref')}`, audit, { refused, message });
    } catch (error) {
      deps.log.error({ err: describeError(error) }, 'a refusal could not be audited');
    }
  }

  async function flush(): Promise<void> {
    if (window !== null) clearTimeout(window);
    window = null;
    written = 0;
    const counts = sources;
    sources = new Map();
    for (const [source, { left }] of counts) {
      if (left === 0) continue;
      const audit = { actor: source, action: 'api.refuse.more', subjectKind: 'api', subjectId: 'refusals' };
      await write({ ...audit, detail: { count: left } }, 'LIMIT', `${left} more refusals were only counted.`);
    }
    await Promise.all(underway);
  }

  return {
    flush,
    async note(c, problem) {
      if (!audited.includes(problem.status)) return;
      const principal = (c.get('principal') as Principal | undefined)?.id ?? null;
      const address = addressOf(c);
      if (!isWithin(principal ?? address)) return;
      const audit = {
        actor: principal ?? unknown,
        action: 'api.refuse',
        subjectKind: 'route',
        subjectId: `${c.req.method} ${templateOf(c)}`,
        detail: {
          requestId: problem.requestId,
          address,
          ...(principal === null ? { keyId: keyIdOf(c.req.header('authorization')) } : {}),
        },
      };
      const work = write(audit, problem.code, storableText(problem.detail.slice(0, 300)));
      // A wrong key is refused without a query (TRUST 4.2), also while the database does not answer.
      if (problem.status !== 401) return work;
      underway.add(work);
      void work.then(() => underway.delete(work));
    },
  };
}

/** The route as the document names it; the path as given could hold anything. */
function templateOf(c: ApiContext): string {
  const route = matchedRoutes(c).findLast(({ method, path }) => method !== 'ALL' && !path.includes('*'));
  return route?.path.replaceAll(/:(\w+)/g, '{$1}') ?? '/v1/*';
}

/** The public part of a key that is whole; nothing of anything else. */
function keyIdOf(header: string | undefined): string | null {
  const text = /^Bearer +(\S+) *$/i.exec(header ?? '')?.[1];
  return text === undefined ? null : (parseKey(text)?.id ?? null);
}

function addressOf(c: ApiContext): string {
  try {
    return getConnInfo(c).remote.address ?? 'unknown';
  } catch {
    // A request that did not come over a socket.
    return 'unknown';
  }
}
