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
  auditPrivateKey: string;
  auditPublicKey: string;
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
    auditPrivateKey: join(folder, 'audit-private.pem'),
    auditPublicKey: join(folder, 'audit-public.pem'),
    secretBoxKey: join(folder, 'secret-box-key'),
  };
  readOrCreatePrivate(paths.keyPepper, randomHex);
  readOrCreatePrivate(paths.agentRoot, randomHex);
  readOrCreatePrivate(paths.secretBoxKey, randomHex);
  createPair(paths.ticketPrivateKey, paths.ticketPublicKey, 'open approval tickets then stop being valid');
  createPair(
    ...([paths.auditPrivateKey, paths.auditPublicKey] as const),
    'keep a copy of it first, for without it the heads signed so far can no longer be verified',
  );
  return paths;
}

function createPair(privatePath: string, publicPath: string, loss: string): void {
  if (existsSync(publicPath) && !existsSync(privatePath)) {
    throw new StackError(
      `${privatePath} is missing, but its public half is there. ` +
        `Put it back from a backup, or delete the public file too: ${loss}.`,
    );
  }
  const privateKey = readOrCreatePrivate(privatePath, () =>
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  );
  readOrCreatePrivate(publicPath, () => publicHalf(privateKey, privatePath));
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
