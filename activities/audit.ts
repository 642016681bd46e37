import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { listAnchors, readHead, storeAnchor } from '../db/audit-anchors.ts';
import type { Database } from '../db/client.ts';
import { signedText } from '../domain/audit.ts';
import { openHeadsFile } from './heads-file.ts';

export type AuditActivities = ReturnType<typeof createAuditActivities>;

type Deps = {
  database: Database;
  /** Ed25519; only workers have it, and it signs nothing but heads. */
  signingKey: KeyObject;
  headsFile: string;
};

/** So many heads are written to the file in one run; the next run goes on. */
const linesPerRun = 5_000;

/** The name under which a verifier looks a key up: the beginning of the hash of its public half. */
function keyIdOf(key: KeyObject): string {
  const half = key.type === 'private' ? createPublicKey(key) : key;
  return createHash('sha256')
    .update(half.export({ type: 'spki', format: 'der' }))
    .digest('hex')
    .slice(0, 16);
}

/** Receipts: heads of the audit chain, signed and kept where who can change the database cannot reach them. */
export function createAuditActivities({ database, signingKey, headsFile }: Deps) {
  const keyId = keyIdOf(signingKey);
  const file = openHeadsFile(headsFile);
  const { log } = database;

  return {
    /** Signs the head if it has moved since the last time, and brings the file up to the table. */
    async anchorAudit(): Promise<{ anchored: number | null; written: number }> {
      const now = await readHead(log);
      if (now === null) return { anchored: null, written: 0 };
      const { head, at, anchored } = now;
      let isNew = false;
      if (head.chainNo > anchored) {
        const signature = sign(null, Buffer.from(signedText({ ...head, at })), signingKey);
        isNew = await storeAnchor(log, { ...head, at, keyId, signature: signature.toString('base64url') });
      }
      const written = await file.complete(head, (after) =>
        listAnchors(log, { after, upTo: Number.MAX_SAFE_INTEGER }, linesPerRun),
      );
      return { anchored: isNew ? head.chainNo : null, written };
    },
  };
}
