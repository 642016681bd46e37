import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecretBox, type SecretBox } from '../db/sealed.ts';
import { DomainError, refuse } from '../domain/refusal.ts';

export type ApiSecrets = {
  pepper: string;
  agentRoot: string;
  secretBox: SecretBox;
  ticketKey: KeyObject;
  auditKeys: string[];
};

const minLength = 32;

function readSecret(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'not readable';
    throw new DomainError(refuse('INVALID', `${name}: cannot read ${path} (${why}).`));
  }
}

function readLongSecret(name: string, path: string): string {
  const secret = readSecret(name, path);
  if (secret.length < minLength)
    throw new DomainError(
      refuse('INVALID', `${name}: the secret in ${path} has fewer than ${minLength} characters.`),
    );
  return secret;
}

/** Reads the secrets from their files; one that is missing, short or used twice stops the start. */
export function readSecrets(paths: {
  pepper: string;
  agentRoot: string;
  secretBoxKey: string;
  ticketKey: string;
  auditKeys: string;
}): ApiSecrets {
  const pepper = readLongSecret('DREAMNET_KEY_PEPPER_FILE', paths.pepper);
  const agentRoot = readLongSecret('DREAMNET_AGENT_ROOT_FILE', paths.agentRoot);
  const boxKeys = readSecret('DREAMNET_SECRET_BOX_KEY_FILE', paths.secretBoxKey);
  const secretBox = createSecretBox(boxKeys);
  const named = [
    ['DREAMNET_KEY_PEPPER_FILE', [pepper]],
    ['DREAMNET_AGENT_ROOT_FILE', [agentRoot]],
    ['DREAMNET_SECRET_BOX_KEY_FILE', boxKeys.split('\n').map((line) => line.trim())],
  ] as const;
  for (const [at, [name, secrets]] of named.entries())
    for (const [other, others] of named.slice(at + 1))
      if (secrets.some((secret) => others.includes(secret)))
        throw new DomainError(
          refuse('INVALID', `${name} and ${other} hold the same secret; make one for each.`),
        );
  const ticketKey = readTicketKey(paths.ticketKey);
  return { pepper, agentRoot, secretBox, ticketKey, auditKeys: readAuditKeys(paths.auditKeys) };
}

function readTicketKey(path: string): KeyObject {
  const name = 'DREAMNET_TICKET_PRIVATE_KEY_FILE';
  const pem = readSecret(name, path);
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // Said below, without the words of the parser, which can quote what it read.
  }
  throw new DomainError(
    refuse('INVALID', `${name}: ${path} does not hold an Ed25519 private key in PEM form.`),
  );
}

/** One public key behind the other: the newest signs, the older ones signed what is there. */
function readAuditKeys(path: string): string[] {
  const name = 'DREAMNET_AUDIT_PUBLIC_KEY_FILE';
  const blocks =
    readSecret(name, path).match(/-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g) ?? [];
  try {
    const keys = blocks.map((pem) => createPublicKey(pem));
    if (keys.length > 0 && keys.every((key) => key.asymmetricKeyType === 'ed25519'))
      return keys.map((key) => key.export({ type: 'spki', format: 'pem' }).toString());
  } catch {
    // Said below.
  }
  throw new DomainError(refuse('INVALID', `${name}: ${path} does not hold Ed25519 public keys in PEM form.`));
}
