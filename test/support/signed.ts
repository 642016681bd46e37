import { createHmac } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { newId } from '../../db/ids.ts';

/** The headers of a message as Standard Webhooks sign it. */
export function signedHeaders(
  secret: string,
  body: string,
  given: { id?: string; atMs?: number } = {},
): Record<string, string> {
  const { id = newId('msg'), atMs = Date.now() } = given;
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(atMs / 1000)),
    'webhook-signature': new Webhook(secret).sign(id, new Date(atMs), body),
  };
}

/** The headers of a delivery of GitHub. */
export function githubHeaders(
  secret: string,
  body: string,
  given: { id?: string; event?: string } = {},
): Record<string, string> {
  return {
    'content-type': 'application/json',
    'x-github-delivery': given.id ?? newId('dlv'),
    'x-github-event': given.event ?? 'push',
    'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
  };
}
