import type { StoredNotification } from '../domain/notification-body.ts';

/** How one try to send ended. What may pass is tried again; what cannot is the end of the notification. */
export type SendEnd =
  | { sent: true; status: string; messageId: string | null }
  | { sent: false; mayPass: boolean; reason: string; retryAfterMs: number | null };

export type SendInput = { notification: StoredNotification; signal: AbortSignal };

/** A receiver that says nothing for this long has failed this try. */
export const sendTimeoutMs = 15_000;

export function notSent(mayPass: boolean, reason: string, retryAfterMs: number | null = null): SendEnd {
  return { sent: false, mayPass, reason, retryAfterMs };
}
