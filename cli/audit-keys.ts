import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type AuditAnchor, isAnchor } from '../domain/audit.ts';
import { bytesOf, linesOf } from './audit-lines.ts';
import { usage } from './problem.ts';

const pemBlock = /-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g;

/** Public keys by the name that anchors give them: the beginning of the hash of their DER form. */
export function keysOf(pems: string[]): Map<string, KeyObject> {
  const keys = pems.map((pem) => createPublicKey(pem));
  return new Map(
    keys.map((key) => {
      const der = key.export({ type: 'spki', format: 'der' });
      return [createHash('sha256').update(der).digest('hex').slice(0, 16), key];
    }),
  );
}

/** The public keys of a file, one PEM block behind the other. */
export function readPublicKeys(file: string): string[] {
  try {
    const blocks = readFileSync(file, 'utf8').match(pemBlock) ?? [];
    const types = blocks.map((pem) => createPublicKey(pem).asymmetricKeyType);
    if (blocks.length > 0 && types.every((type) => type === 'ed25519')) return [...blocks];
  } catch (error) {
    if (error instanceof Error && 'syscall' in error && 'code' in error)
      throw usage(`--public-key: the file ${file} cannot be read (${String(error.code)}).`);
  }
  throw usage(
    `--public-key: ${file} holds no Ed25519 public key in PEM form.`,
    'It is the file secrets/audit-public.pem of the installation, kept by the auditor.',
  );
}

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Checks a signature with the key it names; null when that key is not among the given ones. */
export function verifyWith(keys: Map<string, KeyObject>) {
  return (text: string, signature: string, keyId: string): boolean | null => {
    const key = keys.get(keyId);
    return key === undefined
      ? null
      : verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64url'));
  };
}

/** Signed heads kept outside the database. A line that a killed worker left torn is counted, the others are read. */
export async function readHeads(
  file: string,
): Promise<{ heads: Map<number, AuditAnchor>; torn: number; differing: number[] }> {
  const heads = new Map<number, AuditAnchor>();
  const differing: number[] = [];
  let torn = 0;
  for await (const line of linesOf(bytesOf('heads', file))) {
    if (line === '') continue;
    const anchor = parse(line);
    if (anchor === null) {
      torn += 1;
      continue;
    }
    const known = heads.get(anchor.chainNo);
    if (known !== undefined && known.hash !== anchor.hash) differing.push(anchor.chainNo);
    else heads.set(anchor.chainNo, anchor);
  }
  return { heads, torn, differing };
}

function parse(line: string): AuditAnchor | null {
  try {
    const value: unknown = JSON.parse(line);
    return isAnchor(value) ? value : null;
  } catch {
    return null;
  }
}
