import type { WebhookConfig } from '../domain/channel.ts';
import { discordBody, webhookBody } from '../domain/notification-body.ts';
import { notSent, type SendEnd, type SendInput, sendTimeoutMs } from './channel-send.ts';
import { explainFetchError, guardedFetch, type GuardedResponse, refusalIn } from './guarded-fetch.ts';
import { signedHeaders } from './signed-headers.ts';

type Target = { config: WebhookConfig; url: string };

const maxAnswerBytes = 64 * 1024;
const longestWaitMs = 15 * 60_000;

/** Posts a signed notification; the id stays the same over all tries. */
export async function sendWebhook(
  { notification, signal }: SendInput,
  target: Target & { secrets: string[] },
): Promise<SendEnd> {
  const body = webhookBody(notification);
  const headers = signedHeaders(notification.id, body, target.secrets);
  return post(target, target.url, headers, body, signal, () => null);
}

/** Posts a notification to a Discord-compatible webhook and keeps the id of the message it became. */
export async function sendDiscord({ notification, signal }: SendInput, target: Target): Promise<SendEnd> {
  const url = new URL(target.url);
  // Without it Discord answers before the message exists, and says nothing of what is wrong with it.
  url.searchParams.set('wait', 'true');
  return post(target, url.href, {}, discordBody(notification), signal, messageIdIn);
}

/** One signed or unsigned post of JSON, and what its end means for another try. */
async function post(
  { config }: Target,
  url: string,
  headers: Record<string, string>,
  body: string,
  signal: AbortSignal,
  idIn: (answer: GuardedResponse) => string | null,
): Promise<SendEnd> {
  try {
    const answer = await guardedFetch({
      url,
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'dreamnet-notify', ...headers },
      body,
      timeoutMs: sendTimeoutMs,
      maxBytes: maxAnswerBytes,
      allowPrivateNetwork: config.allowPrivateNetwork,
      signal,
    });
    if (answer.status >= 200 && answer.status < 300)
      return { sent: true, status: String(answer.status), messageId: idIn(answer) };
    return judge(answer);
  } catch (error) {
    signal.throwIfAborted();
    const refusal = refusalIn(error);
    return refusal === null ? notSent(true, explainFetchError(error)) : notSent(false, refusal.message);
  }
}

function judge(answer: GuardedResponse): SendEnd {
  const { status } = answer;
  if (status >= 300 && status < 400)
    return notSent(
      false,
      `It answered ${status}; redirects are not followed, so give the channel its new address.`,
    );
  const mayPass = [408, 425, 429].includes(status) || status >= 500;
  const advice = mayPass ? '' : '; the address or the right to post there is wrong';
  return notSent(mayPass, `It answered ${status}${advice}.`, waitIn(answer));
}

/** How long a receiver asks us to wait, in the header of HTTP or in the body as Discord says it. */
function waitIn(answer: GuardedResponse): number | null {
  const header = answer.headers['retry-after'];
  const seconds = Number(header ?? Number.NaN);
  const ms = Number.isNaN(seconds) ? Date.parse(header ?? '') - Date.now() : seconds * 1000;
  const said = [ms, Number(memberOf(answer.body, 'retry_after')) * 1000].find((each) => each > 0);
  return said === undefined ? null : Math.min(Math.ceil(said), longestWaitMs);
}

function memberOf(body: string, name: string): unknown {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : null;
  } catch {
    return null;
  }
}

function messageIdIn({ body }: GuardedResponse): string | null {
  const id = memberOf(body, 'id');
  return typeof id === 'string' && /^\d{1,25}$/.test(id) ? id : null;
}
