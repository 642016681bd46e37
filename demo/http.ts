export type Problem = { status: number; code: string; detail: string; details?: Record<string, unknown> };

export type Caller = {
  get: <T>(path: string) => Promise<T>;
  post: <T>(path: string, body?: object) => Promise<T>;
  /** For a call that must be refused: how it was. Throws when it was not, or with another status. */
  refusal: (status: number, path: string, body: object) => Promise<Problem>;
};

type CallerInput = { api: string; key: string; signal: AbortSignal };

const timeoutMs = 15_000;

/** The API as the holder of one key sees it. */
export function createCaller({ api, key, signal }: CallerInput): Caller {
  async function send(method: string, path: string, body?: object): Promise<Response> {
    return fetch(`${api}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
  }

  async function expect<T>(method: string, path: string, body?: object): Promise<T> {
    const response = await send(method, path, body);
    if (response.ok) return (await response.json()) as T;
    throw new Error(`${method} ${path} was answered ${response.status}: ${await response.text()}`);
  }

  return {
    get: (path) => expect('GET', path),
    post: (path, body) => expect('POST', path, body),
    async refusal(status, path, body) {
      const response = await send('POST', path, body);
      const text = await response.text();
      if (response.status !== status)
        throw new Error(`POST ${path} was answered ${response.status}, expected ${status}: ${text}`);
      return JSON.parse(text) as Problem;
    },
  };
}
