import { createHash, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import {
  type AuditAnchor,
  type AuditEntry,
  beforeFirst,
  type ExportHeader,
  type ExportLine,
  hashedText,
  signedText,
} from '../../domain/audit.ts';
import { type AuditReport, createVerifier, type VerifyDeps } from '../../domain/audit-verify.ts';
import { canonical, type JsonObject } from '../../domain/json.ts';

export type Said = {
  actor: string;
  action: string;
  subjectKind: string;
  subjectId: string;
  outcome?: 'ok' | 'refused';
  detail?: JsonObject;
};

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** An entry with the number and the predecessor that it is given, hashed as the trigger does. */
export function anEntry(said: Said, chainNo: number, prevHash: string): AuditEntry {
  const { detail = {}, outcome = 'ok', ...columns } = said;
  const opKey = `op-${chainNo}-${said.action}`;
  const body = canonical({ ...columns, outcome, opKey, detail });
  const at = new Date(Date.UTC(2026, 0, 1) + chainNo * 1000).toISOString().replace('Z', '000Z');
  const entry = { chainNo, at, ...columns, outcome, opKey, body, result: '{}', prevHash, hash: '' };
  return { ...entry, hash: sha256(hashedText(entry)) };
}

/** A whole chain of what was said, from its first entry on. */
export function aChain(all: Said[]): AuditEntry[] {
  const chain: AuditEntry[] = [];
  for (const said of all) chain.push(anEntry(said, chain.length + 1, chain.at(-1)?.hash ?? beforeFirst));
  return chain;
}

const digestOf = (task: string, content = 1): string => sha256(`${task}/${content}`);

export type Life = {
  id: string;
  people?: string[];
  required?: number;
  ending?: 'dispatched' | 'rejected' | 'voided' | 'retried' | 'waiting';
};

/** What the audit says of a task from its proposal to its end. */
export function aLife({ id, people = ['prn_operator'], required = people.length, ending }: Life): Said[] {
  const [approvalId, second] = [`apr_${id}_1`, `apr_${id}_2`];
  const task = (action: string, detail: JsonObject): Said => ({
    ...{ actor: 'prn_requester', action: `task.${action}`, subjectKind: 'task', subjectId: id, detail },
  });
  const approval = (actor: string, action: string, subjectId: string, detail: JsonObject): Said => ({
    ...{
      actor,
      action: `approval.${action}`,
      subjectKind: 'approval',
      subjectId,
      detail: { task: id, ...detail },
    },
  });
  const votes = (subjectId: string, digest: string): Said[] =>
    people.map((actor, at) =>
      approval(actor, 'approve', subjectId, { digest, state: at + 1 < required ? 'open' : 'approved' }),
    );
  const created = task('create', {
    digest: digestOf(id),
    approvalId,
    requestedBy: 'prn_requester',
    required,
  });
  const dispatch = (subjectId: string, digest: string, attempt = 1): Said =>
    task('dispatch', { approvalId: subjectId, digest, attempt });
  const approved = [created, ...votes(approvalId, digestOf(id))];
  switch (ending) {
    case 'waiting':
      return [created];
    case 'rejected':
      return [
        created,
        approval('prn_operator', 'reject', approvalId, { digest: digestOf(id), state: 'rejected' }),
      ];
    case 'voided': {
      const moved = { newApprovalId: second, digest: digestOf(id, 2), required };
      return [
        ...[...approved, approval('system', 'void', approvalId, moved), ...votes(second, digestOf(id, 2))],
        dispatch(second, digestOf(id, 2)),
      ];
    }
    case 'retried': {
      const again = { approvalId, digest: digestOf(id), run: 2, required };
      return [
        ...approved,
        dispatch(approvalId, digestOf(id)),
        task('retry', again),
        dispatch(approvalId, digestOf(id), 2),
      ];
    }
    default:
      return [...approved, dispatch(approvalId, digestOf(id))];
  }
}

const pair = generateKeyPairSync('ed25519');
export const publicPem = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
export const privatePem = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
export const keyId = keyIdOfPem(publicPem);

export function keyIdOfPem(pem: string): string {
  const der = createPublicKey(pem).export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('hex').slice(0, 16);
}

/** The signed head of a chain at one of its entries. */
export function anAnchor(
  chain: AuditEntry[],
  chainNo: number,
  given: Partial<AuditAnchor> = {},
): AuditAnchor {
  const head = {
    chainNo,
    hash: chain[chainNo - 1]?.hash ?? '',
    installation: chain[0]?.hash ?? '',
    at: new Date(Date.UTC(2026, 0, 1) + chainNo * 1000 + 500).toISOString(),
    ...given,
  };
  const signature = sign(null, Buffer.from(signedText(head)), pair.privateKey).toString('base64url');
  return { keyId, signature, ...head };
}

/** An export of a chain that ends where the chain does, with its anchors behind their entries. */
export function anExport(
  chain: AuditEntry[],
  anchors: AuditAnchor[],
  given: Partial<ExportHeader> = {},
): ExportLine[] {
  const last = chain.at(-1);
  const header: ExportHeader = {
    installation: chain[0]?.hash ?? null,
    exportedAt: '2026-06-01T00:00:00.000Z',
    fromChainNo: 1,
    head: { chainNo: last?.chainNo ?? 0, hash: last?.hash ?? beforeFirst },
    publicKeys: [publicPem],
    ...given,
  };
  const lines: ExportLine[] = [{ kind: 'header', ...header }];
  const rest = [...anchors];
  for (const entry of chain) {
    lines.push({ kind: 'entry', ...entry });
    while (rest[0] !== undefined && rest[0].chainNo <= entry.chainNo)
      lines.push({ kind: 'anchor', ...(rest.shift() as AuditAnchor) });
  }
  lines.push(...rest.map((anchor): ExportLine => ({ kind: 'anchor', ...anchor })));
  lines.push({ kind: 'end', entries: chain.length, anchors: anchors.length });
  return lines;
}

export function verifyLines(lines: ExportLine[], given: Partial<VerifyDeps> = {}): AuditReport {
  const [header] = lines;
  if (header?.kind !== 'header') throw new Error('an export begins with its header');
  const deps: VerifyDeps = {
    sha256,
    verify: (text, signature, of) =>
      of === keyId
        ? verify(null, Buffer.from(text), pair.publicKey, Buffer.from(signature, 'base64url'))
        : null,
    ...given,
  };
  const verifier = createVerifier(deps, header);
  for (const line of lines)
    if (line.kind === 'entry') verifier.entry(line);
    else if (line.kind === 'anchor') verifier.anchor(line);
  return verifier.end();
}
