import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { StackError } from './error.ts';
import { makePrivateFolder, readOrCreatePrivate } from './files.ts';

export type SecretPaths = {
  keyPepper: string;
  ticketPrivateKey: string;
  ticketPublicKey: string;
  agentRoot: string;
  secretBoxKey: string;
};

function randomHex(): string {
  return `${randomBytes(32).toString('hex')}\n`;
}

export function createSecrets(dataDir: string): SecretPaths {
  const folder = join(dataDir, 'secrets');
  makePrivateFolder(folder);
  const paths: SecretPaths = {
    keyPepper: join(folder, 'key-pepper'),
    ticketPrivateKey: join(folder, 'ticket-private.pem'),
    ticketPublicKey: join(folder, 'ticket-public.pem'),
    agentRoot: join(folder, 'agent-root'),
    secretBoxKey: join(folder, 'secret-box-key'),
  };
  readOrCreatePrivate(paths.keyPepper, randomHex);
  readOrCreatePrivate(paths.agentRoot, randomHex);
  readOrCreatePrivate(paths.secretBoxKey, randomHex);
  createTicketKeys(paths);
  return paths;
}

function createTicketKeys(paths: SecretPaths): void {
  const hasPublic = existsSync(paths.ticketPublicKey);
  if (hasPublic && !existsSync(paths.ticketPrivateKey)) {
    throw new StackError(
      `${paths.ticketPrivateKey} is missing, but its public half is there. ` +
        'Put it back from a backup, or delete the public file too: open approval tickets then stop being valid.',
    );
  }
  const privateKey = readOrCreatePrivate(paths.ticketPrivateKey, () =>
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  );
  readOrCreatePrivate(paths.ticketPublicKey, () => publicHalf(privateKey, paths.ticketPrivateKey));
}

function publicHalf(privateKey: string, path: string): string {
  try {
    return createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();
  } catch {
    throw new StackError(
      `${path} does not hold a private key in PEM form. Put it back from a backup, or delete the file.`,
    );
  }
}
