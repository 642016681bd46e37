import { Webhook } from 'standardwebhooks';

/** The headers of Standard Webhooks. The id is the same over all tries; each secret signs. */
export function signedHeaders(id: string, body: string, secrets: string[]): Record<string, string> {
  const at = new Date();
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(' '),
  };
}
