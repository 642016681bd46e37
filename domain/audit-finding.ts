export const findingKinds = [
  'altered',
  'removed',
  'inserted',
  'cut-off',
  'swapped',
  'forged-anchor',
  'dispatch-without-decision',
] as const;
export type FindingKind = (typeof findingKinds)[number];

/** What is wrong with one row of the audit, in a sentence for the person who has to look into it. */
export type Finding = { chainNo: number; kind: FindingKind; sentence: string };

/** Findings as they come; a finding can be taken back when a later row explains it better. */
export type Findings = {
  add(finding: Finding): void;
  take(chainNo: number, kind: FindingKind): void;
  /** In the order of their rows. */
  list(): Finding[];
  count(): number;
};

/** Keeps a bounded number of findings and counts the others, so that a chain that is wrong throughout fills no memory. */
export function collectFindings(kept: number): Findings {
  const found = new Map<string, Finding>();
  let more = 0;
  const keyOf = (chainNo: number, kind: FindingKind): string => `${chainNo}:${kind}`;
  return {
    add(finding) {
      const key = keyOf(finding.chainNo, finding.kind);
      if (found.has(key)) return;
      if (found.size < kept) found.set(key, finding);
      else more += 1;
    },
    take: (chainNo, kind) => void found.delete(keyOf(chainNo, kind)),
    list: () => [...found.values()].sort((a, b) => a.chainNo - b.chainNo),
    count: () => found.size + more,
  };
}
