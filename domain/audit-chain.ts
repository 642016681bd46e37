import { type AuditEntry, beforeFirst, hashedText } from './audit.ts';
import type { Findings } from './audit-finding.ts';
import { createGaps } from './audit-gaps.ts';

export type Sha256 = (text: string) => string;

/*
 * The chain, read from its first entry on. An entry's hash covers its number, so the number an entry was written under
 * is known even when it was renumbered: it is the one its hash fits (`original`). Originals that are passed over were
 * removed, originals that come twice make room for something inserted, and originals in each other's place were
 * swapped. An entry whose hash fits no number was altered; one whose follower names another hash was altered together
 * with its hash.
 */
export type ChainCheck = {
  /** Answers the number that the entry was written under, as far as its hash tells. */
  next(entry: AuditEntry): number;
  /** The hash of one of the newest entries; undefined when it is too old or was never there. */
  hashOf(chainNo: number): string | undefined;
  /** How far the entries reach, by the number of the last and by what it was written under. */
  reach(): number;
  isMissing(chainNo: number): boolean;
  end(head: { chainNo: number; hash: string }): void;
};

type Placed = { entry: AuditEntry; original: number; fits: boolean };

const near = 8;
const far = 5_000;
/** Hashes spent on looking for the number of renumbered entries, over the whole chain. */
const farBudget = 200_000;
const keptUnfit = 200;
const keptHashes = 128;

export function checkChain(deps: { sha256: Sha256; findings: Findings; from: number }): ChainCheck {
  const { sha256, findings } = deps;
  const gaps = createGaps();
  const recent = new Map<number, string>();
  const early = new Set<number>();
  const unfit: AuditEntry[] = [];
  let expected = deps.from;
  let offset = 0;
  let budget = farBudget;
  let last: Placed | null = null;
  /** An entry with an unexpected number; what it means is known with its follower. */
  let jump: Placed | null = null;
  let highest = deps.from - 1;
  /** The entry that is held to be altered only because of the hash its follower names. */
  let blamed = 0;

  const fitsAs = (entry: AuditEntry, number: number): boolean =>
    number > 0 && sha256(hashedText(entry, number)) === entry.hash;

  function originalOf(entry: AuditEntry): number | null {
    const { chainNo } = entry;
    if (fitsAs(entry, chainNo)) return chainNo;
    if (offset !== 0 && fitsAs(entry, chainNo + offset)) return chainNo + offset;
    for (let step = 1; step <= near; step += 1)
      for (const number of [chainNo + step, chainNo - step]) if (fitsAs(entry, number)) return number;
    // A changed text keeps its place behind its predecessor; only what was moved is worth a longer search.
    if (entry.prevHash === last?.entry.hash) return null;
    for (let step = near + 1; step <= far && budget > 0; step += 1, budget -= 2)
      for (const number of [chainNo + step, chainNo - step]) if (fitsAs(entry, number)) return number;
    return null;
  }

  function altered(chainNo: number, how: string): void {
    findings.add({ chainNo, kind: 'altered', sentence: `Entry ${chainNo} was altered: ${how}.` });
  }

  function swapped({ entry, original }: Placed): void {
    const sentence = `Entry ${entry.chainNo} is in another's place: it was written as entry ${original}.`;
    findings.add({ chainNo: entry.chainNo, kind: 'swapped', sentence });
  }

  function inserted(chainNo: number, how: string): void {
    findings.add({ chainNo, kind: 'inserted', sentence: `Entry ${chainNo} was inserted: ${how}.` });
  }

  function checkLink(placed: Placed): void {
    const { entry, original, fits } = placed;
    if (original === 1 && entry.prevHash !== beforeFirst)
      return altered(entry.chainNo, 'the first entry follows none, but this one names a hash before it');
    if (last === null || !last.fits || !fits || entry.prevHash === last.entry.hash) return;
    blamed = last.entry.chainNo;
    altered(blamed, `it no longer has the hash that entry ${entry.chainNo} was written behind`);
  }

  function advance(to: number): void {
    expected = to;
    while (early.delete(expected)) expected += 1;
  }

  /** An entry that follows the last one, or stands behind a gap. */
  function settle(placed: Placed, isLinked: boolean): void {
    if (isLinked) checkLink(placed);
    offset = placed.original - placed.entry.chainNo;
    last = placed;
    advance(placed.original + 1);
  }

  function judgeJump(moved: Placed, isRun: boolean): void {
    jump = null;
    if (!isRun) {
      swapped(moved);
      gaps.open(expected, expected);
      early.add(moved.original);
      last = null;
      return advance(expected + 1);
    }
    if (moved.original > expected) gaps.open(expected, moved.original - 1);
    for (let back = expected - moved.original; back > 0; back -= 1) {
      const number = moved.entry.chainNo - back;
      findings.take(number, 'altered');
      if (blamed === number - 1) findings.take(blamed, 'altered');
      inserted(number, 'the entries behind it were renumbered to make room');
    }
    settle(moved, false);
  }

  function place(placed: Placed): void {
    const { entry, original } = placed;
    if (jump !== null) {
      const moved = jump;
      judgeJump(moved, original === moved.original + 1);
    }
    if (original === expected) return settle(placed, true);
    if (gaps.fill(original)) return swapped(placed);
    if (original !== entry.chainNo) {
      jump = placed;
      return;
    }
    if (original > expected) {
      gaps.open(expected, original - 1);
      return settle(placed, false);
    }
    inserted(entry.chainNo, 'its number is one that was already passed');
  }

  /** Entries whose hash fits the number of another unfit entry were exchanged over a distance. */
  function findExchanged(): void {
    for (const entry of unfit)
      for (const other of unfit) {
        if (other === entry || !fitsAs(entry, other.chainNo)) continue;
        findings.take(entry.chainNo, 'altered');
        swapped({ entry, original: other.chainNo, fits: true });
      }
  }

  return {
    next(entry) {
      const original = originalOf(entry);
      if (original === null) {
        altered(entry.chainNo, 'its text and its hash do not belong together');
        if (unfit.length < keptUnfit) unfit.push(entry);
      }
      const placed = { entry, original: original ?? entry.chainNo + offset, fits: original !== null };
      highest = Math.max(highest, entry.chainNo, placed.original);
      recent.set(placed.original, entry.hash);
      const [oldest] = recent.size > keptHashes ? recent.keys() : [];
      if (oldest !== undefined) recent.delete(oldest);
      place(placed);
      return placed.original;
    },
    hashOf: (chainNo) => recent.get(chainNo),
    reach: () => highest,
    isMissing: (chainNo) => gaps.list().some(({ from, to }) => from <= chainNo && chainNo <= to),
    end(head) {
      if (jump !== null) judgeJump(jump, true);
      findExchanged();
      for (const { from, to } of gaps.list()) {
        const which = from === to ? `Entry ${from} is missing` : `Entries ${from} to ${to} are missing`;
        findings.add({ chainNo: from, kind: 'removed', sentence: `${which}: removed.` });
      }
      // A renumbered end ends where it was written to end.
      const lastNo = Math.min(last?.entry.chainNo ?? 0, last?.original ?? 0);
      if (head.chainNo > highest) {
        const sentence = `The end is missing: the chain goes on to entry ${head.chainNo}, the entries stop at ${highest}.`;
        findings.add({ chainNo: highest + 1, kind: 'cut-off', sentence });
      } else if (last !== null && head.chainNo < lastNo) {
        inserted(head.chainNo + 1, `the chain ends at entry ${head.chainNo}`);
      } else if (last?.fits === true && head.chainNo === last.original && head.hash !== last.entry.hash)
        altered(last.entry.chainNo, 'it no longer has the hash at which the chain ends');
    },
  };
}
