export type Caller = {
  get: <T>(path: string) => Promise<T>;
  /** The answer with its status: 202 is as good as 200, and says that it takes longer. */
  post: <T>(path: string, body: object) => Promise<{ status: number; body: T }>;
};

type CallerInput = { api: string; key: string; signal: AbortSignal };

const timeoutMs = 15_000;

/** The API as the holder of one key sees it. */
export function createCaller({ api, key, signal }: CallerInput): Caller {
  async function send<T>(method: string, path: string, body?: object): Promise<{ status: number; body: T }> {
    const response = await fetch(`${api}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    if (!response.ok)
      throw new Error(`${method} ${path} was answered ${response.status}: ${await response.text()}`);
    return { status: response.status, body: (await response.json()) as T };
  }

  return {
    get: async <T>(path: string) => (await send<T>('GET', path)).body,
    post: (path, body) => send('POST', path, body),
  };
}
