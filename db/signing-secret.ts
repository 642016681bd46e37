import { createHmac } from 'node:crypto';

/** Secrets of receivers that check our signatures are derived, so that the record holds nothing that authenticates. */
function signingSecret(root: string, owner: string): string {
  return `whsec_${createHmac('sha256', root).update(owner).digest('base64')}`;
}

/** The secret an HTTP agent checks our signatures with; the API shows it once, the worker signs with it. */
export function agentSecret(root: string, agentId: string): string {
  return signingSecret(root, `agent:${agentId}`);
}

/** The secret a webhook channel's receiver checks with; each rotation is a version of its own. */
export function channelSecret(root: string, channelId: string, version: number): string {
  return signingSecret(root, `channel:${channelId}:${version}`);
}

/** The secret the receiver of a webhook subscription checks with; each rotation is a version of its own. */
export function subscriptionSecret(root: string, key: string, version: number): string {
  return signingSecret(root, `subscription:${key}:${version}`);
}
