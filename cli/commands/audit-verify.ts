import type { AuditAnchor } from '../../domain/audit.ts';
import type { Finding } from '../../domain/audit-finding.ts';
import { type Checked, checkExport } from '../audit-check.ts';
import { readHeads, readPublicKeys } from '../audit-keys.ts';
import { bytesOf, exportLines } from '../audit-lines.ts';
import { command } from '../command.ts';
import { safeJson, visible } from '../escape.ts';
import { instant } from '../format.ts';
import { facts } from '../output.ts';
import type { Session } from '../session.ts';

const shownFindings = 50;

export const verifyCommand = command({
  name: 'verify',
  about: 'Prove that no entry was changed, removed, inserted or cut off, and that each dispatch was decided',
  args: {
    file: { type: 'string', valueHint: 'EXPORT', description: 'Verify this export, without any server' },
    heads: {
      type: 'string',
      valueHint: 'FILE',
      description: 'Signed heads kept outside the database (audit/heads.jsonl, or your copy of it)',
    },
    'public-key': {
      type: 'string',
      valueHint: 'FILE',
      description: 'Your copy of audit-public.pem; without it the key that came with the export is believed',
    },
  },
  isOffline: ({ file }) => file !== undefined,
  run: async (session, args) => {
    const publicKeys = args['public-key'] === undefined ? [] : readPublicKeys(args['public-key']);
    // Read before the export is asked for: a head in this file is then one that the export has to reach.
    const outside = args.heads === undefined ? null : await readHeads(args.heads);
    const bytes =
      args.file === undefined ? session.api.stream('/v1/audit/export') : bytesOf('file', args.file);
    const checked = await checkExport(exportLines(bytes), {
      publicKeys,
      heads: outside?.heads ?? new Map<number, AuditAnchor>(),
      isOutsideOlder: args.file === undefined,
      progress: (entries) => session.out.hint(`… ${entries} entries`),
    });
    const { report } = checked;
    for (const chainNo of outside?.differing ?? []) {
      const sentence = `The file of heads has two different heads of entry ${chainNo}.`;
      report.findings.push({ chainNo, kind: 'forged-anchor', sentence });
      report.findingCount += 1;
      report.intact = false;
    }
    say(session, checked, { heads: args.heads ?? null, torn: outside?.torn ?? 0 });
    return report.intact ? 'ok' : 'notIntact';
  },
});

type Outside = { heads: string | null; torn: number };

function say(session: Session, checked: Checked, outside: Outside): void {
  const { report, header, keySource, ms } = checked;
  const rowsPerSecond = Math.round(report.entries / (ms / 1000));
  if (session.out.json) {
    const { installation, exportedAt } = header;
    const whole = { ...report, installation, exportedAt, keySource, tornHeads: outside.torn };
    session.out.line(safeJson(JSON.stringify({ ...whole, ms: Math.round(ms), rowsPerSecond })));
    return;
  }
  const { out } = session;
  const reach = report.anchoredTo === 0 ? 'no entry' : `entry ${report.anchoredTo}`;
  for (const line of facts(out, [
    ['entries', `${report.entries}, ${report.from} to ${report.to}`],
    ['exported', instant(header.exportedAt)],
    ['speed', `${rowsPerSecond} rows per second`],
    ['heads', `${report.anchors} signed heads, the last good one reaches ${reach}`],
    ['dispatches', `${report.dispatches} judged${unjudged(report.unjudged)}`],
    ['findings', report.findingCount],
  ]))
    out.line(line);
  for (const finding of report.findings.slice(0, shownFindings)) out.line(lineOf(finding));
  const more = report.findingCount - Math.min(report.findings.length, shownFindings);
  if (more > 0) out.line(`… and ${more} more findings (--json lists up to ${report.findings.length})`);
  out.line(report.intact ? out.paint('green', 'Intact.') : out.paint('red', 'NOT INTACT.'));
  for (const hint of hintsOf(checked, keySource, outside)) out.hint(visible(hint));
}

function unjudged(count: number): string {
  return count === 0 ? '' : `, ${count} not: they began before the first entry`;
}

function lineOf({ chainNo, kind, sentence }: Finding): string {
  return visible(`${chainNo}  ${kind}  ${sentence}`);
}

function hintsOf({ report }: Checked, keySource: 'given' | 'export', outside: Outside): string[] {
  const behind = report.to - report.anchoredTo;
  return [
    ...(keySource === 'export'
      ? [
          'The public key came with the export: who can change both can sign anew. Give yours: --public-key FILE.',
        ]
      : []),
    ...(outside.heads === null
      ? [
          'No heads from outside were given, so a cut-off end that took its heads along stays unseen: --heads FILE.',
        ]
      : []),
    ...(outside.torn > 0 ? [`${outside.torn} lines of the file of heads are torn; they were left out.`] : []),
    ...(report.laterHeads > 0
      ? [`${report.laterHeads} heads of the file are younger than this export and reach behind its end.`]
      : []),
    ...(behind > 0 ? [`${behind} entries are newer than the last signed head.`] : []),
  ];
}
