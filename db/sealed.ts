import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { DomainError, refuse } from '../domain/refusal.ts';

/*
 * Secrets that have to be sent to somebody else, such as a password or the address of a webhook, cannot be kept as a
 * hash. They are sealed with AES-256-GCM under a key that is not in the database, so that a dump of it holds nothing
 * that authenticates (TRUST 4.1). A sealed text is `box1.<key id>.<base64url of nonce, tag and ciphertext>`.
 */
export type SecretBox = {
  /** `context` says whose secret it is; the same text does not open for anyone else. */
  seal(plain: string, context: string): string;
  open(sealed: string, context: string): string;
};

const version = 'box1';
const minLength = 32;
const nonceBytes = 12;
const tagBytes = 16;

type BoxKey = { id: string; key: Buffer };

function keyOf(line: string): BoxKey {
  const derived = (info: string, length: number): Buffer =>
    Buffer.from(hkdfSync('sha256', line, '', `dreamnet secret box ${info}`, length));
  return { id: derived('key id', 6).toString('hex'), key: derived('key', 32) };
}

function readKeys(text: string): BoxKey[] {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const short = lines.findIndex((line) => Buffer.byteLength(line) < minLength);
  if (short >= 0 || lines.length === 0)
    throw new DomainError(
      refuse(
        'INVALID',
        `DREAMNET_SECRET_BOX_KEY_FILE: ${lines.length === 0 ? 'the file is empty' : `key ${short + 1} has fewer than ${minLength} bytes`}; put one key on each line, the newest first, each made with \`openssl rand -hex 32\`.`,
      ),
    );
  return lines.map(keyOf);
}

/** Opens with every key of the file and seals with its first, so that a key is replaced by writing one above it. */
export function createSecretBox(keyFile: string): SecretBox {
  const keys = readKeys(keyFile);
  const [newest] = keys as [BoxKey, ...BoxKey[]];

  return {
    seal(plain, context) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', newest.key, nonce, { authTagLength: tagBytes });
      cipher.setAAD(Buffer.from(`${version}.${newest.id}.${context}`));
      const ciphertext = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
      const bytes = Buffer.concat([nonce, cipher.getAuthTag(), ciphertext]);
      return `${version}.${newest.id}.${bytes.toString('base64url')}`;
    },

    open(sealed, context) {
      const [form, keyId, text = ''] = sealed.split('.');
      const key = form === version ? keys.find(({ id }) => id === keyId) : undefined;
      if (key === undefined)
        throw new DomainError(
          refuse(
            'CONFLICT',
            `The key ${String(keyId)} that sealed this secret is not in DREAMNET_SECRET_BOX_KEY_FILE; put it back, or enter the secret anew.`,
          ),
        );
      const bytes = Buffer.from(text, 'base64url');
      try {
        const nonce = bytes.subarray(0, nonceBytes);
        const decipher = createDecipheriv('aes-256-gcm', key.key, nonce, { authTagLength: tagBytes });
        decipher.setAAD(Buffer.from(`${version}.${key.id}.${context}`));
        decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes));
        const rest = bytes.subarray(nonceBytes + tagBytes);
        return Buffer.concat([decipher.update(rest), decipher.final()]).toString('utf8');
      } catch {
        throw new DomainError(
          refuse('CONFLICT', 'A sealed secret was altered, or belongs to another record; enter it anew.'),
        );
      }
    },
  };
}
