import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAnchor } from '../../domain/audit.ts';
import { auditAnchorId } from '../../domain/names.ts';
import { atLeast, beside, percentile, type Bar } from '../report.ts';
import type { Stage } from '../stage.ts';
import { until } from '../until.ts';
import { runAudit } from './command.ts';
import { castOf, entriesPerLife, liveThrough } from './lives.ts';

export const auditParts = ['verify', 'tampered'] as const;

const wantedEntries = 10_000;
const wantedPerSecond = 5_000;
const rounds = 5;

type Verified = {
  intact: boolean;
  entries: number;
  to: number;
  dispatches: number;
  anchoredTo: number;
  rowsPerSecond: number;
  findings: { chainNo: number; kind: string }[];
};

/** 10,000 entries written by the product: exported, verified without a server, and tampered with (issue 4). */
export async function benchAudit(stage: Stage, options: { only: string[] }): Promise<Bar[]> {
  const { log, dataDir } = stage;
  const lives = wantedEntries / entriesPerLife;
  const cast = await castOf(stage);
  log.info(`writing ${wantedEntries} entries`);
  const writtenIn = await timed(() => liveThrough(stage, cast, lives));
  await untilAnchored(stage);
  const file = join(dataDir, 'export.ndjson');
  log.info('exporting');
  const exportedIn = await timed(() => mustBe(0, runAudit(stage, ['export', '--out', file])));
  const whole = await verify(stage, file);
  const bars = [
    beside('entries written', whole.entries, 'rows'),
    beside('written by four at once', wantedEntries / writtenIn, 'rows/s'),
    beside(
      'exported over HTTP into a file, with the start of the command',
      whole.entries / exportedIn,
      'rows/s',
    ),
  ];
  if (options.only.includes('verify')) bars.push(...(await measureVerify(stage, file)));
  if (options.only.includes('tampered')) bars.push(...(await findTampered(stage, file, whole)));
  return bars;
}

async function measureVerify(stage: Stage, file: string): Promise<Bar[]> {
  const offline: number[] = [];
  const online: number[] = [];
  let intact = true;
  let last: Verified | null = null;
  for (let round = 1; round <= rounds; round += 1) {
    stage.log.info(`verifying, round ${round} of ${rounds}`);
    last = await verify(stage, file);
    offline.push(last.rowsPerSecond);
    const fromApi = await verify(stage, null);
    online.push(fromApi.rowsPerSecond);
    intact &&= last.intact && fromApi.intact;
  }
  const judged = last?.dispatches ?? 0;
  return [
    atLeast('verified from a file', percentile(offline, 50), wantedPerSecond, 'rows/s'),
    atLeast('verified from a file, slowest round', Math.min(...offline), wantedPerSecond, 'rows/s'),
    beside('verified while it streams from the API', percentile(online, 50), 'rows/s'),
    atLeast('dispatches judged', judged, wantedEntries / entriesPerLife, ''),
    atLeast('rounds in which the untouched audit was intact', intact ? rounds : 0, rounds, ''),
    beside('signed heads reach to entry', last?.anchoredTo ?? 0, ''),
  ];
}

async function findTampered(stage: Stage, file: string, whole: Verified): Promise<Bar[]> {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const row = Math.round(whole.to / 2);
  const at = lines.findIndex((line) => line.includes('"kind":"entry"') && line.includes(`"chainNo":${row},`));
  const line = lines[at];
  if (line === undefined) throw new Error(`The export has no entry ${row}.`);
  // The number an entry has is free again only in a file: there the second one of a number is what was inserted.
  const inserted = line.replace('"outcome":"ok"', '"outcome":"refused"');
  const first = lines.findIndex((each) => each.includes(`"chainNo":${whole.to - 9},`));
  const cut = lines.filter((each, place) => place < first || each.includes('"kind":"anchor"'));
  const cases: [string, string, string[], number][] = [
    [
      'one altered row',
      'altered',
      lines.with(at, line.replace('"outcome":"ok"', '"outcome":"refused"')),
      row,
    ],
    ['one removed row', 'removed', lines.toSpliced(at, 1), row],
    ['one inserted row', 'inserted', lines.toSpliced(at, 0, inserted), row],
    ['ten rows cut off the end', 'cut-off', [...cut, lines.at(-1) ?? ''], whole.to - 9],
  ];
  const bars: Bar[] = [];
  for (const [what, kind, tampered, wanted] of cases) {
    stage.log.info(`verifying with ${what}`);
    const copy = `${file}.tampered`;
    writeFileSync(copy, `${tampered.join('\n')}\n`);
    const { findings } = await verify(stage, copy);
    const named = findings.find((finding) => finding.kind === kind)?.chainNo ?? null;
    bars.push({
      what: `${what}: row that is named`,
      value: named,
      bar: wanted,
      unit: '',
      ok: named === wanted,
    });
  }
  return bars;
}

async function verify(stage: Stage, file: string | null): Promise<Verified> {
  const key = join(stage.dataDir, 'secrets', 'audit-public.pem');
  const from = file === null ? [] : ['--file', file];
  const args = ['verify', ...from, '--public-key', key, '--heads', headsFile(stage), '--json'];
  const { code, stdout, stderr } = await runAudit(stage, args);
  if (stdout === '') throw new Error(`dreamnet audit verify ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as Verified;
}

const headsFile = ({ dataDir }: Stage): string => join(dataDir, 'audit', 'heads.jsonl');

/** Asks the schedule for a run now, and waits until the head is in the file outside the database. */
async function untilAnchored(stage: Stage): Promise<void> {
  const before = lastHead(stage);
  await stage.client.schedule.getHandle(auditAnchorId).trigger();
  await until(stage.signal, 'the head of the audit is signed', () =>
    Promise.resolve(lastHead(stage) > Math.max(before, wantedEntries - 1)),
  );
}

function lastHead(stage: Stage): number {
  try {
    const line = readFileSync(headsFile(stage), 'utf8').trimEnd().split('\n').at(-1) ?? '';
    const anchor: unknown = JSON.parse(line);
    return isAnchor(anchor) ? anchor.chainNo : 0;
  } catch {
    return 0;
  }
}

async function mustBe(code: number, work: ReturnType<typeof runAudit>): Promise<void> {
  const ended = await work;
  if (ended.code !== code) throw new Error(`dreamnet audit ended with ${ended.code}: ${ended.stderr}`);
}

/** In seconds. */
async function timed(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (performance.now() - startedAt) / 1000;
}
