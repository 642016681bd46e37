import { safeJson } from './escape.ts';
import type { Exit } from './exits.ts';
import { type Api, createApi, type Reply } from './http.ts';
import { findKey, type KeyOptions } from './key.ts';
import { createOutput, type Output } from './output.ts';
import { usage } from './problem.ts';
import type { Settings } from './settings.ts';

/** What a command works with. */
export type Session = { api: Api; out: Output; stop: AbortSignal };

export type SessionOptions = KeyOptions & { url: string | null; json: boolean; isOffline: boolean };

export function openSession(options: SessionOptions, settings: Settings, stop: AbortSignal): Session {
  const out = createOutput({ json: options.json, color: settings.color });
  const url = checkUrl(options.url ?? settings.url);
  const key = options.isOffline ? null : findKey(options, settings);
  return { api: createApi({ url, key, out, stop }), out, stop };
}

function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    throw usage(
      `"${text}" is not the address of an API.`,
      'Give http://HOST:PORT or https://HOST, without a user, in --url or DREAMNET_URL.',
    );
  return (url.origin + url.pathname).replace(/\/+$/, '');
}

/**
 * Prints an answer: with --json exactly what the API said, on one line; else what `lines` makes of it for a person.
 */
export function show(session: Session, reply: Reply, lines: () => string[]): void {
  if (session.out.json) session.out.line(oneLine(reply));
  else for (const line of lines()) session.out.line(line);
}

/** Prints one item of a stream: NDJSON, or a line for a person. */
export function showItem(session: Session, item: unknown, line: () => string): void {
  session.out.line(session.out.json ? safeJson(JSON.stringify(item)) : line());
}

function oneLine({ text, body }: Reply): string {
  return safeJson(/[\t\n\r]/.test(text) ? JSON.stringify(body) : text);
}

/** The JSON of an answer as its type; the API's document promises the shape, nothing checks it again here. */
export function bodyOf<T>(reply: Reply): T {
  return reply.body as T;
}

/** How an answer to "do this" counts: 202 is stored, not done. */
export function exitFor(session: Session, reply: Reply): Exit {
  if (reply.status !== 202) return 'ok';
  session.out.hint(
    'Accepted, not recorded yet: the run has not answered. The relay delivers it; there is no need to repeat it.',
  );
  return 'accepted';
}
