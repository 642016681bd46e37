import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createAuditActivities } from '../../activities/audit.ts';
import { openHeadsFile } from '../../activities/heads-file.ts';
import { readHeads } from '../../cli/audit-keys.ts';
import type { AuditAnchor } from '../../domain/audit.ts';
import { auditPair, createTestApi, keysOf } from '../support/api.ts';
import { verifyAudit, writeRows } from '../support/audit-rows.ts';
import { createPeople, openTestDatabase, type TestDatabase } from '../support/database.ts';
import { headOf } from './heads.ts';

const folder = mkdtempSync(join(tmpdir(), 'dreamnet-test-heads-'));
let database: TestDatabase;
let auditor: string;
let file: string;
let files = 0;
let rows = 0;

beforeAll(async () => {
  database = await openTestDatabase();
  auditor = (await keysOf(database, await createPeople(database))).viewer;
});
beforeEach(() => {
  file = join(folder, `${(files += 1)}`, 'heads.jsonl');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const worker = (headsFile = file) =>
  createAuditActivities({ database, signingKey: auditPair.privateKey, headsFile });

async function grow(): Promise<number> {
  await writeRows(database, 10, (rows += 10));
  const [row] = await database.root<{ no: number }[]>`select chain_no::int as no from audit_head`;
  return row?.no ?? 0;
}

function linesOf(path = file): AuditAnchor[] {
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as AuditAnchor);
}

const anchorsOf = async () => {
  const found = await database.root<
    { no: number }[]
  >`select chain_no::int as no from audit_anchors order by 1`;
  return found.map(({ no }) => no);
};

describe('anchoring', () => {
  test('signs the head, keeps it in the table, the log and the file, and leaves the chain as it is', async () => {
    const no = await grow();
    expect(await worker().anchorAudit()).toMatchObject({ anchored: no });
    const line = linesOf().at(-1);
    expect(line).toMatchObject({ chainNo: no, keyId: expect.stringMatching(/^[0-9a-f]{16}$/) as string });
    const [event] =
      await database.root`select payload from events where type = 'audit.anchored' order by seq desc limit 1`;
    expect(event?.payload).toEqual({ chainNo: no, hash: line?.hash, keyId: line?.keyId });
    const [head] = await database.root<{ no: number }[]>`select chain_no::int as no from audit_head`;
    expect(head?.no).toBe(no);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const { report } = await verifyAudit(createTestApi(database), auditor, await readHeads(file));
    expect(report).toMatchObject({ intact: true, anchoredTo: no });
  });

  test('does nothing while the chain has not grown', async () => {
    await grow();
    await worker().anchorAudit();
    const before = [await anchorsOf(), readFileSync(file, 'utf8')];
    expect(await worker().anchorAudit()).toEqual({ anchored: null, written: 0 });
    expect([await anchorsOf(), readFileSync(file, 'utf8')]).toEqual(before);
  });

  test('by several workers at once signs once, and their common file has each head once', async () => {
    for (let round = 0; round < 5; round += 1) {
      const no = await grow();
      const before = await anchorsOf();
      const said = await Promise.all(Array.from({ length: 8 }, () => worker().anchorAudit()));
      expect(said.filter(({ anchored }) => anchored === no)).toHaveLength(1);
      expect(await anchorsOf()).toEqual([...before, no]);
    }
    expect(linesOf().map(({ chainNo }) => chainNo)).toEqual(await anchorsOf());
    expect(existsSync(`${file}.lock`)).toBe(false);
  });

  test('by workers on two machines fills both files', async () => {
    await grow();
    const other = join(folder, 'other-machine', 'heads.jsonl');
    await worker().anchorAudit();
    await grow();
    await worker(other).anchorAudit();
    await worker().anchorAudit();
    expect(linesOf(other)).toEqual(linesOf());
  });

  test('makes up a line that was lost after the head was stored', async () => {
    await grow();
    await worker().anchorAudit();
    const whole = readFileSync(file, 'utf8');
    const last = whole.trimEnd().lastIndexOf('\n') + 1;
    truncateSync(file, last);
    expect(await worker().anchorAudit()).toEqual({ anchored: null, written: 1 });
    expect(readFileSync(file, 'utf8')).toBe(whole);
  });

  test('completes a torn last line, which a verifier leaves out', async () => {
    await grow();
    await worker().anchorAudit();
    const before = linesOf();
    truncateSync(file, statSync(file).size - 30);
    expect(await worker().anchorAudit()).toEqual({ anchored: null, written: 1 });
    const { heads, torn, differing } = await readHeads(file);
    expect([...heads.values()]).toEqual(before);
    expect({ torn, differing }).toEqual({ torn: 1, differing: [] });
    // A line that lacks its end only is whole for a reader.
    truncateSync(file, statSync(file).size - 1);
    await worker().anchorAudit();
    expect([...(await readHeads(file)).heads.values()]).toEqual(before);
  });

  test('refuses to go on in a file that knows more than the database, or another one, and says what to do', async () => {
    const no = await grow();
    await worker().anchorAudit();
    const [last] = linesOf().slice(-1) as [AuditAnchor];
    appendFileSync(file, `${JSON.stringify({ ...last, chainNo: no + 100 })}\n`);
    const before = readFileSync(file, 'utf8');
    await expect(worker().anchorAudit()).rejects.toThrow(
      /cut off, or an older state was restored.*audit verify/,
    );
    writeFileSync(file, `${JSON.stringify(headOf(1))}\n`);
    await expect(worker().anchorAudit()).rejects.toThrow(/another installation.*DREAMNET_AUDIT_HEADS_FILE/);
    expect(before).not.toBe('');
    // The head itself is signed and stored all the same.
    expect(await anchorsOf()).toContain(no);
  });
});

describe('the file of heads', () => {
  test('survives kill -9 at any moment: what is torn is left out, and every head is there in the end', async () => {
    const count = 4_000;
    const rounds = 6;
    for (let round = 0; round < rounds; round += 1) {
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, 'heads-writer.ts'), file, `${count}`],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      const exited = once(child, 'exit');
      await once(child.stdout, 'data');
      await sleep(40 + round * 37);
      child.kill('SIGKILL');
      await exited;
    }
    const before = (await readHeads(file)).heads.size;
    expect(before).toBeGreaterThan(0);
    await openHeadsFile(file).complete(headOf(count), (after) =>
      Promise.resolve(Array.from({ length: count - after }, (_, at) => headOf(after + at + 1))),
    );
    const { heads, torn, differing } = await readHeads(file);
    expect([...heads.keys()]).toEqual(Array.from({ length: count }, (_, at) => at + 1));
    expect(torn).toBeLessThanOrEqual(rounds);
    expect(differing).toEqual([]);
  });

  test('is not held up by the lock of a dead process, and waits for a live one', async () => {
    const heads = openHeadsFile(file);
    await heads.complete(headOf(1), () => Promise.resolve([headOf(1)]));
    const gone = spawn('true');
    await once(gone, 'exit');
    writeFileSync(`${file}.lock`, `${hostname()} ${gone.pid}`);
    expect(await heads.complete(headOf(2), () => Promise.resolve([headOf(2)]))).toBe(1);
    writeFileSync(`${file}.lock`, `${hostname()} ${process.pid}`);
    let isDone = false;
    const waiting = heads.complete(headOf(3), () => Promise.resolve([headOf(3)])).then(() => (isDone = true));
    await sleep(300);
    expect(isDone).toBe(false);
    rmSync(`${file}.lock`);
    await waiting;
    expect(linesOf().map(({ chainNo }) => chainNo)).toEqual([1, 2, 3]);
  });

  test('that is something else is left alone', async () => {
    const heads = openHeadsFile(file);
    await heads.complete(headOf(1), () => Promise.resolve([headOf(1)]));
    const other = 'x'.repeat(200_000);
    writeFileSync(file, other);
    await expect(heads.complete(headOf(2), () => Promise.resolve([headOf(2)]))).rejects.toThrow(
      'not a file of heads',
    );
    expect(readFileSync(file, 'utf8')).toBe(other);
  });
});
