import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { ProblemError } from './problems.ts';

/** A key that was taken back at the provider opens nothing here after this time. */
const maxAgeMs = 10 * 60_000;
/** A token with a made-up key id must not make us ask the provider each time. */
const refreshEveryMs = 30_000;
/** While the provider does not answer it is not asked for every request. */
const restAfterFailureMs = 2_000;
const timeoutMs = 5_000;
const maxBytes = 256 * 1024;

/** Reads a JSON document within a time and a size; redirects lead out of what was configured, so they fail. */
export async function fetchJson(url: string): Promise<unknown> {
  try {
    const response = await fetch(url, {
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
      headers: { accept: 'application/json' },
    });
    if (response.status !== 200 || response.body === null)
      throw new Error(`the identity provider answered ${response.status}`);
    return JSON.parse(await readText(response.body)) as unknown;
  } catch (error) {
    throw new ProblemError(
      'UNAVAILABLE',
      `The identity provider does not answer as it should (${new URL(url).host}); keys of DreamNet still work.`,
      { cause: error },
    );
  }
}

async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  let size = 0;
  for await (const part of body) {
    size += part.byteLength;
    if (size > maxBytes) throw new Error(`more than ${maxBytes} bytes`);
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}

/**
 * The provider's public keys, kept for some minutes. A key id that is not among them makes us look once more, as the
 * provider may have rotated; requests that wait for the same look share it.
 */
export function createJwks(readSet: () => Promise<JSONWebKeySet>, now: () => number): JWTVerifyGetKey {
  let kept: { find: JWTVerifyGetKey; at: number } | null = null;
  let failed: { error: unknown; at: number } | null = null;
  let looking: Promise<JWTVerifyGetKey> | null = null;

  async function look(): Promise<JWTVerifyGetKey> {
    if (failed !== null && now() - failed.at < restAfterFailureMs) throw failed.error;
    try {
      const find = createLocalJWKSet(await readSet());
      kept = { find, at: now() };
      failed = null;
      return find;
    } catch (cause) {
      const error =
        cause instanceof ProblemError
          ? cause
          : new ProblemError('UNAVAILABLE', 'The identity provider shows no usable keys.', { cause });
      failed = { error, at: now() };
      throw error;
    }
  }

  function lookOnce(): Promise<JWTVerifyGetKey> {
    looking ??= look().finally(() => {
      looking = null;
    });
    return looking;
  }

  return async (header, token) => {
    const find = kept !== null && now() - kept.at < maxAgeMs ? kept.find : await lookOnce();
    try {
      return await find(header, token);
    } catch (error) {
      const mayLookAgain = kept !== null && now() - kept.at >= refreshEveryMs;
      if (!(error instanceof errors.JWKSNoMatchingKey) || !mayLookAgain) throw error;
      return (await lookOnce())(header, token);
    }
  };
}
