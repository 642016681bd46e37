import { createHmac, randomInt, timingSafeEqual } from 'node:crypto';
import { formatKey } from '../domain/key.ts';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const idLength = 12;
/** 43 characters of base 62 are 256 bits. */
const secretLength = 43;

function randomText(length: number): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
}

/** What is stored of a key: its secret under the pepper, which the database does not hold. */
export function hashSecret(pepper: string, secret: string): string {
  return createHmac('sha256', pepper).update(secret).digest('hex');
}

/** Makes a key; the text is shown once and kept nowhere. */
export function mintKey(pepper: string, environment = 'live'): { id: string; key: string; hash: string } {
  const id = randomText(idLength);
  const secret = randomText(secretLength);
  return { id, key: formatKey(environment, id, secret), hash: hashSecret(pepper, secret) };
}

const noHash = '0'.repeat(64);

/** Compares in constant time; an unknown key (no stored hash) takes the same path and fails. */
export function isSecretOf(pepper: string, secret: string, storedHash: string | null): boolean {
  const given = Buffer.from(hashSecret(pepper, secret), 'hex');
  const stored = Buffer.from(storedHash ?? noHash, 'hex');
  return given.length === stored.length && timingSafeEqual(given, stored) && storedHash !== null;
}
