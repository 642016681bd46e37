import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { DomainError, refuse } from '../domain/refusal.ts';

function read(name: string, path: string, make: (pem: string) => KeyObject): KeyObject {
  let why = 'holds no Ed25519 key in PEM form of this half';
  try {
    const key = make(readFileSync(path, 'utf8'));
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch (error) {
    // The words of the parser can quote what it read.
    if (error instanceof Error && 'syscall' in error && 'code' in error)
      why = `cannot be read (${String(error.code)})`;
  }
  throw new DomainError(refuse('INVALID', `${name}: ${path} ${why}.`));
}

/** The keys of a worker: it checks tickets and signs heads of the audit. One pair for both would do neither. */
export function readKeys(paths: { ticketKey: string; auditKey: string }): {
  ticketKey: KeyObject;
  auditKey: KeyObject;
} {
  const ticketKey = read('DREAMNET_TICKET_PUBLIC_KEY_FILE', paths.ticketKey, createPublicKey);
  const auditKey = read('DREAMNET_AUDIT_PRIVATE_KEY_FILE', paths.auditKey, createPrivateKey);
  if (createPublicKey(auditKey).equals(ticketKey))
    throw new DomainError(
      refuse(
        'INVALID',
        'DREAMNET_AUDIT_PRIVATE_KEY_FILE and DREAMNET_TICKET_PUBLIC_KEY_FILE are halves of one key; make a pair for each.',
      ),
    );
  return { ticketKey, auditKey };
}
