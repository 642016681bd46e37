import { apiError, localError } from './problem.ts';
import type { Output } from './output.ts';

export type Query = Record<string, string | number | undefined>;

/** An answer of the API: its body, and the same body as the text it came in. */
export type Reply = { status: number; body: unknown; text: string };

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export type Api = {
  url: string;
  get(path: string, query?: Query): Promise<Reply>;
  post(path: string, body: object, headers?: Record<string, string>, withinMs?: number): Promise<Reply>;
  /** One JSON on each line. */
  postLines(path: string, lines: string): Promise<Reply>;
  put(path: string, body: object): Promise<Reply>;
  patch(path: string, body: object): Promise<Reply>;
  /** The body as it comes, for answers that are too long for one text; only its first byte has a deadline. */
  stream(path: string, query?: Query): AsyncGenerator<Uint8Array, undefined, undefined>;
  delete(path: string): Promise<Reply>;
};

const usualMs = 15_000;
/** For answers that take a reading of recorded events or approvals, or a try of somebody's webhook. */
export const longMs = 60_000;
const asJson = { 'content-type': 'application/json' };

export type ApiOptions = { url: string; key: string | null; out: Output; stop: AbortSignal };

/** The API behind an address: every call ends in time, as a reply or as a CliError. */
export function createApi({ url, key, out, stop }: ApiOptions): Api {
  async function call(
    method: Method,
    path: string,
    body: string | null,
    headers: Record<string, string>,
    deadlineMs = usualMs,
  ): Promise<Reply> {
    const done = out.waiting(`waiting for ${url}${path.split('?', 1)[0]}`);
    const late = AbortSignal.timeout(deadlineMs);
    try {
      const answer = await fetch(`${url}${path}`, {
        method,
        body,
        headers: {
          accept: 'application/json',
          ...(key === null ? {} : { authorization: `Bearer ${key}` }),
          ...headers,
        },
        // A redirect would take the key to a server that nobody named.
        redirect: 'manual',
        signal: AbortSignal.any([late, stop]),
      });
      return read(answer, await answer.text(), url);
    } catch (error) {
      if (stop.aborted || !isConnectionFault(error, late)) throw error;
      throw localError('unavailable', describe(error, late, url, deadlineMs), advice(method, late));
    } finally {
      done();
    }
  }

  async function* stream(path: string, query: Query): AsyncGenerator<Uint8Array, undefined, undefined> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), usualMs);
    const done = out.waiting(`waiting for ${url}${path}`);
    try {
      const answer = await fetch(`${url}${path}${queryText(query)}`, {
        headers: key === null ? {} : { authorization: `Bearer ${key}` },
        redirect: 'manual',
        signal: AbortSignal.any([late.signal, stop]),
      });
      clearTimeout(timer);
      done();
      if (!answer.ok || answer.body === null) read(answer, await answer.text(), url);
      else yield* answer.body;
    } catch (error) {
      if (stop.aborted || !isConnectionFault(error, late.signal)) throw error;
      throw localError('unavailable', describe(error, late.signal, url, usualMs), advice('GET', late.signal));
    } finally {
      clearTimeout(timer);
      done();
    }
  }

  return {
    url,
    stream: (path, query = {}) => stream(path, query),
    get: (path, query = {}) => call('GET', path + queryText(query), null, {}),
    post: (path, body, headers = {}, withinMs = usualMs) =>
      call('POST', path, JSON.stringify(body), { ...asJson, ...headers }, withinMs),
    postLines: (path, lines) => call('POST', path, lines, { 'content-type': 'application/x-ndjson' }),
    put: (path, body) => call('PUT', path, JSON.stringify(body), asJson),
    patch: (path, body) => call('PATCH', path, JSON.stringify(body), asJson),
    delete: (path) => call('DELETE', path, null, {}),
  };
}

function queryText(query: Query): string {
  const given = Object.entries(query).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, String(value)]],
  );
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
}

function read(answer: Response, text: string, url: string): Reply {
  const body = parse(text);
  if (answer.ok && body !== undefined) return { status: answer.status, body, text };
  const problem = answer.ok ? null : apiError(body, text);
  if (problem !== null) throw problem;
  const isDown = [502, 503, 504].includes(answer.status);
  throw localError(
    isDown ? 'unavailable' : 'unexpected',
    `${url} answered ${answer.status} with something that is not an answer of the DreamNet API.`,
    isDown ? 'Try again in a moment.' : 'Check the address: --url or DREAMNET_URL.',
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function isConnectionFault(error: unknown, late: AbortSignal): boolean {
  return late.aborted || (error instanceof TypeError && error.cause !== undefined);
}

function describe(error: unknown, late: AbortSignal, url: string, deadlineMs: number): string {
  if (late.aborted) return `${url} gave no answer within ${deadlineMs / 1000} seconds.`;
  const cause = error instanceof Error ? error.cause : undefined;
  const reason =
    cause instanceof Error ? ('code' in cause ? String(cause.code) : cause.message) : 'no connection';
  return `${url} cannot be reached (${reason}).`;
}

function advice(method: string, late: AbortSignal): string {
  if (late.aborted && method !== 'GET')
    return 'Whether it was carried out is not known: look first (`inbox`, `task list`), then repeat it.';
  return 'Is the stack running (`npm start`)? Another address: --url or DREAMNET_URL.';
}
