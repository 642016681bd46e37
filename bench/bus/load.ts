import { callsPerSecond } from '../parts.ts';
import { Pool } from 'undici';

export type Load = {
  /** Posts for so long over all connections at once, each one request after the other; answers requests a second. */
  run: (ms: number) => Promise<number>;
  close: () => Promise<void>;
};

type LoadInput = {
  api: string;
  key: string;
  connections: number;
  body: () => string;
  signal: AbortSignal;
};

/** A load on POST /v1/events; an answer that is no 202 ends it. */
export function openLoad({ api, key, connections, body, signal }: LoadInput): Load {
  const pool = new Pool(api, { connections, pipelining: 1 });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };

  async function post(): Promise<void> {
    const answer = await pool.request({
      ...{ path: '/v1/events', method: 'POST', headers, body: body() },
      signal,
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 202)
      throw new Error(`POST /v1/events was answered ${answer.statusCode}: ${text}`);
  }

  return {
    run: (ms) => callsPerSecond(connections, ms, post),
    close: () => pool.close(),
  };
}
