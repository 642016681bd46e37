import { z } from '@hono/zod-openapi';
import type { Principal } from '../domain/access.ts';
import { refuse } from '../domain/refusal.ts';
import { throwRefusal } from './problems.ts';

/** An address to call: http or https, and no user or password inside it. */
export const httpUrl = z
  .string()
  .max(2000)
  .refine((text) => {
    const url = URL.canParse(text) ? new URL(text) : null;
    return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
  }, 'must be an http or https address without user and password');

/** What is sent to others goes in the clear only where it stays inside a private network. */
export function isHttpsUnlessPrivate(to: { url: string; allowPrivateNetwork: boolean }): boolean {
  return to.allowPrivateNetwork || to.url.startsWith('https:');
}

export const httpsNeeded = {
  path: ['url'],
  message: 'must be https; http is for private addresses only (allowPrivateNetwork, admins only)',
};

/** `what` is what would reach them, such as a channel. */
export function requireMayReachPrivate(
  { role }: Principal,
  { allowPrivateNetwork }: { allowPrivateNetwork: boolean },
  what: string,
): void {
  if (allowPrivateNetwork && role !== 'admin')
    throwRefusal(refuse('FORBIDDEN', `Only an admin lets a ${what} reach private addresses.`));
}
