import type { SecretBox } from '../db/sealed.ts';
import { subscriptionSecret } from '../db/signing-secret.ts';
import type { JsonObject } from '../domain/json.ts';
import { plainLine } from '../domain/notification.ts';
import { withoutSecrets } from '../domain/redact.ts';
import { sealContext } from '../domain/subscription-request.ts';
import { explainFetchError, guardedFetch, type GuardedResponse, refusalIn } from './guarded-fetch.ts';
import { signedHeaders } from './signed-headers.ts';

/** Where events go, and what their signatures are made with. */
export type WebhookTarget = {
  url: string;
  origin: string;
  allowPrivateNetwork: boolean;
  timeoutMs: number;
  secrets: string[];
};

/** How one request ended. Without a status nobody answered. */
export type WebhookReceipt = { status: number | null } & (
  { ok: true } | { ok: false; error: string; isFinal: boolean }
);

const defaultTimeoutMs = 10_000;
const maxAnswerBytes = 64 * 1024;
const maxError = 500;

type Subscription = {
  key: string;
  config: JsonObject;
  secretVersion: number;
  previousSecretUntil: Date | null;
};

/** The target of a webhook subscription; while a rotation overlaps, both secrets sign. Null where it has no address. */
export function webhookTarget(
  { key, config, secretVersion, previousSecretUntil }: Subscription,
  deps: { agentRoot: string; secretBox: SecretBox },
): WebhookTarget | null {
  if (typeof config.sealedUrl !== 'string') return null;
  const isOverlap = previousSecretUntil !== null && previousSecretUntil.getTime() > Date.now();
  const versions = isOverlap ? [secretVersion, secretVersion - 1] : [secretVersion];
  const url = deps.secretBox.open(config.sealedUrl, sealContext(key));
  return {
    url,
    origin: new URL(url).origin,
    allowPrivateNetwork: config.allowPrivateNetwork === true,
    timeoutMs: typeof config.timeoutMs === 'number' ? config.timeoutMs : defaultTimeoutMs,
    secrets: versions.map((version) => subscriptionSecret(deps.agentRoot, key, version)),
  };
}

/** Posts a signed body; the id is the same over all tries of one delivery. */
export async function postWebhook(
  target: WebhookTarget,
  sent: { id: string; body: string; headers: Record<string, string>; signal: AbortSignal },
): Promise<WebhookReceipt> {
  try {
    const answer = await guardedFetch({
      url: target.url,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'dreamnet-bus',
        ...sent.headers,
        ...signedHeaders(sent.id, sent.body, target.secrets),
      },
      body: sent.body,
      timeoutMs: target.timeoutMs,
      maxBytes: maxAnswerBytes,
      allowPrivateNetwork: target.allowPrivateNetwork,
      signal: sent.signal,
    });
    return judge(answer);
  } catch (error) {
    sent.signal.throwIfAborted();
    const refusal = refusalIn(error);
    return {
      ok: false,
      status: null,
      error: shown(
        target,
        refusal?.message ?? `${target.origin} was not reached: ${explainFetchError(error)}.`,
      ),
      isFinal: refusal !== null,
    };
  }
}

function judge({ status, headers }: GuardedResponse): WebhookReceipt {
  if (status >= 200 && status < 300) return { ok: true, status };
  if (status >= 300 && status < 400)
    return {
      ok: false,
      status,
      error: `It answered ${status}; redirects are not followed, so give the new address.`,
      isFinal: true,
    };
  const mayPass = [408, 425, 429].includes(status) || status >= 500;
  const wait = headers['retry-after'];
  const asked = wait === undefined ? '' : ` and asks to wait (Retry-After: ${plainLine(wait, 60)})`;
  return { ok: false, status, error: `It answered ${status}${mayPass ? asked : ''}.`, isFinal: !mayPass };
}

/** An error for people: whatever it repeats of the address or the secrets is blanked. */
function shown({ url, secrets }: WebhookTarget, text: string): string {
  const { pathname, search } = new URL(url);
  const parts = [pathname + search, ...pathname.split('/')].filter((part) => part.length >= 8);
  return plainLine(withoutSecrets(text, [url, ...parts, ...secrets]), maxError);
}
