import type { AuditAnchor, ExportHeader, ExportLine } from '../domain/audit.ts';
import { type AuditReport, createVerifier } from '../domain/audit-verify.ts';
import { keysOf, sha256, verifyWith } from './audit-keys.ts';
import { localError } from './problem.ts';

export type CheckOptions = {
  /** Keys that did not come with the export; empty when none were given. */
  publicKeys: string[];
  heads: Map<number, AuditAnchor>;
  isOutsideOlder: boolean;
  progress: (entries: number) => void;
};

export type Checked = {
  report: AuditReport;
  header: ExportHeader;
  keySource: 'given' | 'export';
  ms: number;
};

const progressEvery = 10_000;

/** Verifies an export while it streams past. */
export async function checkExport(lines: AsyncIterable<ExportLine>, options: CheckOptions): Promise<Checked> {
  const startedAt = performance.now();
  let header: ExportHeader | null = null;
  let verifier: ReturnType<typeof createVerifier> | null = null;
  let isWhole = false;
  const counted = { entries: 0, anchors: 0 };
  for await (const line of lines) {
    if (isWhole) throw broken('goes on behind its end');
    if (line.kind === 'header') {
      if (header !== null) throw broken('has two beginnings');
      header = line;
      verifier = createVerifier(depsOf(line, options), line);
      continue;
    }
    if (verifier === null) throw broken('does not begin with its header');
    if (line.kind === 'entry') {
      verifier.entry(line);
      counted.entries += 1;
      if (counted.entries % progressEvery === 0) options.progress(counted.entries);
    } else if (line.kind === 'anchor') {
      verifier.anchor(line);
      counted.anchors += 1;
    } else isWhole = true;
  }
  if (header === null || verifier === null) throw broken('is empty');
  const report = verifier.end();
  // A cut end that says nothing else is not taken for a whole audit; one with findings has said it.
  if (!isWhole && report.intact) throw broken('has no end: it was broken off or cut');
  const keySource = options.publicKeys.length > 0 ? 'given' : 'export';
  return { report, header, keySource, ms: performance.now() - startedAt };
}

function depsOf(header: ExportHeader, options: CheckOptions) {
  const { publicKeys, heads, isOutsideOlder } = options;
  const keys = publicKeys.length > 0 ? keysOf(publicKeys) : ownKeys(header);
  return { sha256, verify: verifyWith(keys), outside: heads, isOutsideOlder };
}

function ownKeys(header: ExportHeader) {
  try {
    return keysOf(header.publicKeys);
  } catch {
    throw broken('brings a public key that cannot be read; give yours with --public-key');
  }
}

function broken(how: string): Error {
  return localError('unexpected', `The export ${how}.`, 'Export again with `dreamnet audit export`.');
}
