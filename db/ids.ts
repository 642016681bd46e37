import { createHash, randomFillSync } from 'node:crypto';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

function base32(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += alphabet[byte & 31];
  return text;
}

const pool = new Uint8Array(4096);
let used = pool.length;

/** Random bytes, drawn by the page: asking the system for each few costs more than all else about an id. */
export function randomPart(size: number): Uint8Array {
  if (used + size > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += size;
  return pool.slice(used - size, used);
}

/** A new random id such as `tsk_7k3m…`: 16 characters of 5 bits behind a prefix that names its kind. */
export function newId(prefix: string): string {
  return `${prefix}_${base32(randomPart(16))}`;
}

/** The same id for the same text: what makes a repeated request hit the row of the first. */
export function derivedId(prefix: string, text: string): string {
  return `${prefix}_${base32(createHash('sha256').update(text).digest().subarray(0, 16))}`;
}

/** SHA-256 of a text, as hex. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
