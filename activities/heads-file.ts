import { mkdir, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AuditAnchor, isAnchor } from '../domain/audit.ts';
import { DomainError, refuse } from '../domain/refusal.ts';

/*
 * Signed heads outside the database, one JSON line each, only ever appended to. A worker that is killed can leave a torn
 * line at the end: it is closed with a line feed, and the anchor is written again behind it.
 */
export type HeadsFile = {
  /** Appends what the file lacks: `missing` is asked for the anchors behind the last one that the file has. */
  complete(
    head: { chainNo: number; installation: string },
    missing: (after: number) => Promise<AuditAnchor[]>,
  ): Promise<number>;
};

const tailBytes = 64 * 1024;
/** Writing takes milliseconds; who holds the lock for so long is gone. */
const staleAfterMs = 10_000;
const lockEveryMs = 25;

export function openHeadsFile(file: string): HeadsFile {
  return {
    async complete(head, missing) {
      await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
      return withLock(`${file}.lock`, async () => {
        const { last, isTorn } = await readTail(file);
        if (last !== null) checkLast(file, last, head);
        const anchors = await missing(last?.chainNo ?? 0);
        if (anchors.length === 0 && !isTorn) return 0;
        const lines = anchors.map((anchor) => `${headLine(anchor)}\n`).join('');
        await append(file, isTorn ? `\n${lines}` : lines);
        return anchors.length;
      });
    },
  };
}

/** The line of one anchor, as `dreamnet audit verify --heads` reads it. */
function headLine({ chainNo, hash, installation, at, keyId, signature }: AuditAnchor): string {
  return JSON.stringify({ chainNo, hash, installation, at, keyId, signature });
}

async function readTail(file: string): Promise<{ last: AuditAnchor | null; isTorn: boolean }> {
  const size = (await stat(file).catch(absent))?.size ?? 0;
  if (size === 0) return { last: null, isTorn: false };
  const handle = await open(file, 'r');
  try {
    const start = Math.max(0, size - tailBytes);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - start), 0, size - start, start);
    const text = buffer.subarray(0, bytesRead).toString('utf8');
    const whole = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    const last = whole.map(parse).findLast((anchor) => anchor !== null) ?? null;
    if (last === null && size > tailBytes) throw unreadable(file);
    return { last, isTorn: !text.endsWith('\n') };
  } finally {
    await handle.close();
  }
}

function parse(line: string): AuditAnchor | null {
  try {
    const value: unknown = JSON.parse(line);
    return isAnchor(value) ? value : null;
  } catch {
    return null;
  }
}

const keepAside =
  'Keep this file aside, for it may be the only proof, run `dreamnet audit verify --heads` with it, and then let a new one begin under this name or another (DREAMNET_AUDIT_HEADS_FILE).';

function unreadable(file: string): DomainError {
  return new DomainError(
    refuse(
      'CONFLICT',
      `The end of ${file} holds no signed head at all; it is not a file of heads. ${keepAside}`,
    ),
  );
}

function checkLast(file: string, last: AuditAnchor, head: { chainNo: number; installation: string }): void {
  if (last.installation !== head.installation)
    throw new DomainError(
      refuse(
        'CONFLICT',
        `${file} holds the heads of another installation, or of this one made anew. ${keepAside}`,
      ),
    );
  if (last.chainNo > head.chainNo)
    throw new DomainError(
      refuse(
        'CONFLICT',
        `${file} has a signed head of entry ${last.chainNo}, but the audit ends at ${head.chainNo}: entries were cut off, or an older state was restored. ${keepAside}`,
      ),
    );
}

async function append(file: string, text: string): Promise<void> {
  const handle = await open(file, 'a', 0o600);
  try {
    await handle.appendFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const me = `${hostname()} ${process.pid}`;

/** Several workers share the file. Whether who holds the lock is alive can be asked on one machine; else its age tells. */
async function withLock<T>(lock: string, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      await writeFile(lock, me, { flag: 'wx', mode: 0o600 });
      break;
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
      if (await isLeft(lock)) await rm(lock, { force: true });
      else await sleep(lockEveryMs);
    }
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}

async function isLeft(lock: string): Promise<boolean> {
  const [held, by] = await Promise.all([stat(lock).catch(absent), readFile(lock, 'utf8').catch(absent)]);
  if (held === null || by === null) return false;
  if (Date.now() - held.mtimeMs > staleAfterMs) return true;
  const [host, pid] = by.split(' ');
  if (host !== hostname() || pid === undefined) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return isCode(error, 'ESRCH');
  }
}

function absent(error: unknown): null {
  if (isCode(error, 'ENOENT')) return null;
  throw error;
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
