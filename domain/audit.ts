import { canonical } from './json.ts';

/** An audit entry with every column of its row; `at` in UTC with six digits, as it was hashed. */
export type AuditEntry = {
  chainNo: number;
  at: string;
  actor: string;
  action: string;
  subjectKind: string;
  subjectId: string;
  outcome: string;
  opKey: string;
  body: string;
  result: string;
  prevHash: string;
  hash: string;
};

/** The chain as it stood at one moment: its last number and hash, and the hash of its first entry, which names it. */
export type ChainHead = { chainNo: number; hash: string; installation: string };

/** A head that a worker signed; copies are kept outside the database. */
export type AuditAnchor = ChainHead & { at: string; keyId: string; signature: string };

/** What the first entry follows. */
export const beforeFirst = '0'.repeat(64);

/** The text that an entry's hash is made from; the trigger `audit_chain` puts it together in the same way. */
export function hashedText(entry: AuditEntry, chainNo: number = entry.chainNo): string {
  return `${entry.prevHash}\n${chainNo}\n${entry.at}\n${entry.body}\n${entry.result}`;
}

/** The text that an anchor's signature is for. */
export function signedText(anchor: Omit<AuditAnchor, 'signature' | 'keyId'>): string {
  const { chainNo, hash, at, installation } = anchor;
  return canonical({ chainNo, hash, at, installation });
}

/** A line of an export: the chain at its start, then each entry, with each anchor behind the entry it names. */
export type ExportLine =
  | ({ kind: 'header' } & ExportHeader)
  | ({ kind: 'entry' } & AuditEntry)
  | ({ kind: 'anchor' } & AuditAnchor)
  | { kind: 'end'; entries: number; anchors: number };

export type ExportHeader = {
  installation: string | null;
  exportedAt: string;
  fromChainNo: number;
  head: { chainNo: number; hash: string };
  /** Ed25519 keys in PEM form. Who made the export chose them: a verifier that can should bring its own. */
  publicKeys: string[];
};

const texts = (...names: string[]) => names;
const entryTexts = texts(
  ...['at', 'actor', 'action', 'subjectKind', 'subjectId', 'outcome', 'opKey'],
  ...['body', 'result', 'prevHash', 'hash'],
);
const anchorTexts = texts('hash', 'installation', 'at', 'keyId', 'signature');

function hasAll(line: Record<string, unknown>, names: string[]): boolean {
  return names.every((name) => typeof line[name] === 'string') && Number.isSafeInteger(line.chainNo);
}

/** True for a value with the members of an anchor. */
export function isAnchor(value: unknown): value is AuditAnchor {
  return typeof value === 'object' && value !== null && hasAll({ ...value }, anchorTexts);
}

function isHeader(line: Record<string, unknown>): boolean {
  const head = line.head as Record<string, unknown> | null | undefined;
  return (
    typeof line.exportedAt === 'string' &&
    Number.isSafeInteger(line.fromChainNo) &&
    Number.isSafeInteger(head?.chainNo) &&
    typeof head?.hash === 'string' &&
    Array.isArray(line.publicKeys) &&
    line.publicKeys.every((key) => typeof key === 'string')
  );
}

/** Reads one line of an export; null when it is none. */
export function parseExportLine(text: string): ExportLine | null {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof line !== 'object' || line === null) return null;
  const given = line as Record<string, unknown>;
  const fits =
    (given.kind === 'entry' && hasAll(given, entryTexts)) ||
    (given.kind === 'anchor' && hasAll(given, anchorTexts)) ||
    (given.kind === 'header' && isHeader(given)) ||
    (given.kind === 'end' && Number.isSafeInteger(given.entries) && Number.isSafeInteger(given.anchors));
  return fits ? (line as ExportLine) : null;
}
