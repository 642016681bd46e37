import { createHmac, timingSafeEqual } from 'node:crypto';
import { type HookScheme, hookToleranceMs } from '../domain/hook.ts';

/** A signed message as it came in; `header` reads one by its name in lower case. */
export type SignedMessage = {
  header: (name: string) => string | undefined;
  body: Uint8Array;
  nowMs: number;
};

export type Verified = { messageId: string; kind: string | null };

const saneId = /^[\x21-\x7e]{1,200}$/;
const maxSignatures = 10;

/**
 * Checks who sent a message by its raw bytes, with one or, while secrets are changed, two secrets; null when it is not
 * good. Every secret and signature is compared in constant time, and none is left out once one fits.
 */
export function verifyMessage(
  scheme: HookScheme,
  secrets: readonly string[],
  message: SignedMessage,
): Verified | null {
  return scheme === 'github' ? verifyGithub(secrets, message) : verifyStandard(secrets, message);
}

/** https://www.standardwebhooks.com: HMAC-SHA256 over id, time and body; several signatures may be sent. */
function verifyStandard(secrets: readonly string[], { header, body, nowMs }: SignedMessage): Verified | null {
  const messageId = header('webhook-id') ?? '';
  const timestamp = header('webhook-timestamp') ?? '';
  const given = (header('webhook-signature') ?? '').split(' ').slice(0, maxSignatures);
  const signatures = given.filter((each) => each.startsWith('v1,')).map((each) => each.slice(3));
  const isSigned = isAnySignature(signatures, 'base64', secrets, (secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    return createHmac('sha256', key).update(`${messageId}.${timestamp}.`).update(body).digest();
  });
  const isInTime =
    /^\d{1,12}$/.test(timestamp) && Math.abs(nowMs - Number(timestamp) * 1000) <= hookToleranceMs;
  return isSigned && isInTime && saneId.test(messageId) ? { messageId, kind: null } : null;
}

/** GitHub signs the body alone: neither its id nor its time is signed, so the id only tells repetitions apart. */
function verifyGithub(secrets: readonly string[], { header, body }: SignedMessage): Verified | null {
  const messageId = header('x-github-delivery') ?? '';
  const given = /^sha256=([0-9a-f]{64})$/.exec(header('x-hub-signature-256') ?? '')?.[1] ?? '';
  const isSigned = isAnySignature([given], 'hex', secrets, (secret) =>
    createHmac('sha256', secret).update(body).digest(),
  );
  return isSigned && saneId.test(messageId)
    ? { messageId, kind: header('x-github-event')?.slice(0, 100) ?? null }
    : null;
}

function isAnySignature(
  given: readonly string[],
  encoding: 'base64' | 'hex',
  secrets: readonly string[],
  sign: (secret: string) => Buffer,
): boolean {
  let fits = false;
  for (const secret of secrets) {
    const expected = sign(secret);
    for (const text of given) {
      const bytes = Buffer.from(text, encoding);
      const isSame = bytes.length === expected.length && timingSafeEqual(bytes, expected);
      fits ||= isSame;
    }
  }
  return fits;
}
