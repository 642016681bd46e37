import { type AuditAnchor, type AuditEntry, type ExportHeader, signedText } from './audit.ts';
import { checkChain, type Sha256 } from './audit-chain.ts';
import { checkDecisions } from './audit-decisions.ts';
import { collectFindings, type Finding } from './audit-finding.ts';

export type VerifyDeps = {
  sha256: Sha256;
  /** Whether a signature is one of this key over this text; null when the key is not among the known ones. */
  verify: (text: string, signature: string, keyId: string) => boolean | null;
  /** Heads that were kept outside the database, by their number. */
  outside?: ReadonlyMap<number, AuditAnchor>;
  /** False when `outside` may have grown after the export was made. */
  isOutsideOlder?: boolean;
  maxFindings?: number;
};

export type AuditReport = {
  /** True when nothing was found. */
  intact: boolean;
  entries: number;
  from: number;
  to: number;
  dispatches: number;
  unjudged: number;
  anchors: number;
  /** The last entry that a valid head reaches; what is behind it rests on the database alone. */
  anchoredTo: number;
  /** Heads from outside that are younger than the export and reach behind its end. */
  laterHeads: number;
  findingCount: number;
  findings: Finding[];
};

export type AuditVerifier = {
  entry(entry: AuditEntry): void;
  /** Behind the entry it names, as an export has it. */
  anchor(anchor: AuditAnchor): void;
  end(): AuditReport;
};

/** Verifies an audit as it streams past, with memory for its approvals only. */
export function createVerifier(deps: VerifyDeps, header: ExportHeader): AuditVerifier {
  const findings = collectFindings(deps.maxFindings ?? 1_000);
  const from = header.fromChainNo;
  const chain = checkChain({ sha256: deps.sha256, findings, from });
  const decisions = checkDecisions({ findings, from });
  const seen = { entries: 0, to: from - 1, anchors: 0, anchoredTo: 0, laterHeads: 0 };
  let { installation } = header;
  let waiting: AuditAnchor[] = [];
  let lastAnchor = 0;
  /** Once an anchor does not fit, those behind it cannot either: the first one tells. */
  let isOff = false;

  const forged = (chainNo: number, how: string): void =>
    findings.add({ chainNo, kind: 'forged-anchor', sentence: `The head of entry ${chainNo} ${how}.` });

  function isSigned(anchor: AuditAnchor): boolean {
    const signed = deps.verify(signedText(anchor), anchor.signature, anchor.keyId);
    if (signed === true) return true;
    const unknown = `is signed with key ${anchor.keyId}, which is not one of the given keys`;
    forged(anchor.chainNo, signed === null ? unknown : 'has a signature that is not valid');
    return false;
  }

  function compare(anchor: AuditAnchor, hash: string): void {
    const { chainNo, at } = anchor;
    if (installation !== null && anchor.installation !== installation)
      return forged(chainNo, 'belongs to another installation');
    if (hash === anchor.hash) {
      isOff = false;
      seen.anchoredTo = Math.max(seen.anchoredTo, chainNo);
      return;
    }
    if (isOff) return;
    isOff = true;
    const since = `an entry from ${seen.anchoredTo + 1} to ${chainNo} was changed and the chain behind it made anew`;
    const sentence = `Entry ${chainNo} is not the one whose head was signed at ${at}: ${since}.`;
    findings.add({ chainNo, kind: 'altered', sentence });
  }

  function checkOutside(chainNo: number, hash: string): void {
    const anchor = deps.outside?.get(chainNo);
    if (anchor === undefined) return;
    seen.anchors += 1;
    if (isSigned(anchor)) compare(anchor, hash);
  }

  function readBody(entry: AuditEntry): Record<string, unknown> | null {
    try {
      const body = JSON.parse(entry.body) as Record<string, unknown> | null;
      return typeof body === 'object' ? body : null;
    } catch {
      return null;
    }
  }

  function checkColumns(entry: AuditEntry, body: Record<string, unknown> | null): void {
    const columns = ['actor', 'action', 'subjectKind', 'subjectId', 'outcome', 'opKey'] as const;
    const differs = columns.find((name) => body?.[name] !== entry[name]);
    if (differs === undefined) return;
    const sentence = `Entry ${entry.chainNo} was altered: its column ${differs} differs from the text that was hashed.`;
    findings.add({ chainNo: entry.chainNo, kind: 'altered', sentence });
  }

  function checkWaiting(): void {
    waiting = waiting.filter((anchor) => {
      const hash = chain.hashOf(anchor.chainNo);
      if (hash !== undefined) compare(anchor, hash);
      return hash === undefined;
    });
  }

  function cutOff({ chainNo, at }: AuditAnchor): void {
    const reach = chain.reach();
    const sentence = `The end is missing: a head signed at ${at} reaches to entry ${chainNo}, the entries stop at ${reach}.`;
    findings.add({ chainNo: reach + 1, kind: 'cut-off', sentence });
  }

  function checkEnds(): void {
    for (const anchor of waiting) {
      if (anchor.chainNo > chain.reach()) cutOff(anchor);
      else if (anchor.chainNo >= from && !chain.isMissing(anchor.chainNo))
        forged(anchor.chainNo, 'stands where its entry cannot be compared');
    }
    for (const anchor of deps.outside?.values() ?? []) {
      if (anchor.chainNo <= chain.reach()) continue;
      seen.anchors += 1;
      if (!isSigned(anchor)) continue;
      if (deps.isOutsideOlder === false && anchor.at > header.exportedAt) seen.laterHeads += 1;
      else cutOff(anchor);
    }
  }

  return {
    entry(entry) {
      seen.entries += 1;
      seen.to = Math.max(seen.to, entry.chainNo);
      const number = chain.next(entry);
      if (entry.chainNo === 1) {
        if (installation !== null && installation !== entry.hash && seen.entries === 1)
          findings.add({
            chainNo: 1,
            kind: 'altered',
            sentence: 'Entry 1 was altered: it is not the one that names this installation.',
          });
        installation ??= entry.hash;
      }
      const body = readBody(entry);
      checkColumns(entry, body);
      const { detail } = body ?? {};
      decisions.next(entry, typeof detail === 'object' && detail !== null ? { ...detail } : {});
      checkOutside(number, entry.hash);
      if (waiting.length > 0) checkWaiting();
    },
    anchor(anchor) {
      seen.anchors += 1;
      if (anchor.chainNo <= lastAnchor) return forged(anchor.chainNo, 'comes twice or out of its order');
      lastAnchor = anchor.chainNo;
      if (!isSigned(anchor)) return;
      waiting.push(anchor);
      checkWaiting();
    },
    end() {
      chain.end(header.head);
      checkEnds();
      const count = findings.count();
      const { entries, to, anchors, anchoredTo, laterHeads } = seen;
      return {
        ...{ intact: count === 0, entries, from, to, ...decisions.counts() },
        ...{ anchors, anchoredTo, laterHeads, findingCount: count, findings: findings.list() },
      };
    },
  };
}
