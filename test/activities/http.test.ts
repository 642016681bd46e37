import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CancelledFailure } from '@temporalio/common';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createHttpActivities } from '../../activities/http.ts';
import { agentSecret } from '../../db/signing-secret.ts';
import type { AgentCall } from '../../domain/task.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aCall, anEnvironment, type Dispatched } from './calls.ts';
import { eventually } from '../db/eventually.ts';

const agentRoot = 'the root of all agent secrets, long enough';
let database: TestDatabase;
let people: People;
let server: Server;
let url: string;

type Seen = { method: string; key: string; body: string };
type Script = (request: Seen, response: ServerResponse) => void;

/** What the agent behind the endpoint does, and what it has seen; by agent, as a real one would be. */
const scripts = new Map<string, Script>();
const seen = new Map<string, Seen[]>();

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  const name = request.url ?? '';
  const known = { method: request.method ?? '', key: String(request.headers['idempotency-key']), body };
  const secret = secrets.get(name);
  try {
    if (secret === undefined) throw new Error('unknown agent');
    new Webhook(secret).verify(body, request.headers as Record<string, string>);
  } catch (error) {
    response.writeHead(401).end(String(error));
    return;
  }
  seen.set(name, [...(seen.get(name) ?? []), known]);
  scripts.get(name)?.(known, response);
}
const secrets = new Map<string, string>();

function json(response: ServerResponse, status: number, body: unknown = {}): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function aFreePort(): Promise<number> {
  const unused = createServer();
  await new Promise<void>((resolve) => unused.listen(0, '127.0.0.1', resolve));
  const { port } = unused.address() as AddressInfo;
  await new Promise((resolve) => unused.close(resolve));
  return port;
}

let count = 0;
async function prepare(script: Script, given: { timeoutMs?: number; allow?: boolean } = {}) {
  const path = `/agent-${(count += 1)}`;
  const config = { url: `${url}${path}`, allowPrivateNetwork: given.allow ?? true };
  const at = await aCall(database, people, 'http', config, given.timeoutMs);
  scripts.set(path, script);
  secrets.set(path, agentSecret(agentRoot, at.agentId));
  return {
    ...at,
    requests: () => seen.get(path) ?? [],
    methods: () => (seen.get(path) ?? []).map((one) => one.method),
  };
}

const run = (at: Pick<Dispatched, 'agentId' | 'call'>, attempt = 1, environment = anEnvironment(attempt)) =>
  environment.run(createHttpActivities({ database, agentRoot }).runHttp, {
    agentId: at.agentId,
    call: at.call,
  });

const done = { ok: true, summary: 'restarted', output: { pid: 7 } };

describe('a first try', () => {
  test('is one signed POST of the call, with its key', async () => {
    const at = await prepare((_request, response) => json(response, 200, done));
    expect(await run(at)).toEqual(done);
    expect(at.requests()).toMatchObject([{ method: 'POST', key: at.call.key }]);
    expect(JSON.parse(at.requests()[0]?.body ?? '') as AgentCall).toEqual(at.call);
  });

  test.each<[string, number, unknown, { ok: boolean; summary: string }]>([
    [
      'an answer that says no',
      200,
      { ok: false, summary: 'no such service' },
      { ok: false, summary: 'no such service' },
    ],
    [
      'no answer worth the name',
      200,
      { done: 1 },
      { ok: false, summary: 'The agent did not answer {"ok": boolean, "summary": string}.' },
    ],
    ['an answer with 201', 201, { ok: true, summary: 'x' }, { ok: true, summary: 'x' }],
    ['a refusal', 400, {}, { ok: false, summary: 'The agent answered 400.' }],
    ['a fault', 500, {}, { ok: false, summary: 'The agent answered 500.' }],
    ['a redirect, which is not followed', 302, {}, { ok: false, summary: 'The agent answered 302.' }],
    ['not knowing the method', 405, {}, { ok: false, summary: 'The agent answered 405.' }],
  ])('%s', async (_what, status, body, expected) => {
    const at = await prepare((_request, response) => json(response, status, body));
    expect(await run(at)).toEqual(expected);
    expect(at.methods()).toEqual(['POST']);
  });

  test('an answer that is no JSON is a failure', async () => {
    const at = await prepare((_request, response) => response.writeHead(200).end('<html>'));
    expect(await run(at)).toMatchObject({ ok: false });
  });

  test('work that takes longer is asked for until it is done', async () => {
    let asked = 0;
    const at = await prepare((request, response) => {
      if (request.method === 'POST') return json(response, 202);
      asked += 1;
      return asked < 3 ? json(response, 202) : json(response, 200, done);
    });
    expect(await run(at)).toEqual(done);
    expect(at.methods()).toEqual(['POST', 'GET', 'GET', 'GET']);
    expect(new Set(at.requests().map((one) => one.key))).toEqual(new Set([at.call.key]));
  });

  test.each(['a port nobody listens on', 'a port no request may go to', 'a name nobody has'])(
    'an agent at %s was not reached',
    async (where) => {
      const addresses: Record<string, string> = {
        'a port no request may go to': 'http://127.0.0.1:9/',
        'a name nobody has': 'http://nobody.invalid/',
      };
      const address = addresses[where] ?? `http://127.0.0.1:${await aFreePort()}/`;
      const at = await aCall(database, people, 'http', { url: address, allowPrivateNetwork: true });
      expect(await run(at)).toMatchObject({
        ok: false,
        summary: expect.stringContaining('could not be reached'),
      });
    },
  );

  test('an agent at a private address is refused unless the person who registered it allowed it', async () => {
    const at = await prepare((_request, response) => json(response, 200, done), { allow: false });
    expect(await run(at)).toMatchObject({
      ok: false,
      summary: expect.stringContaining('not a public address'),
    });
    expect(at.requests()).toEqual([]);
  });

  test('an agent that was changed after the dispatch is sent nothing', async () => {
    const at = await prepare((_request, response) => json(response, 200, done));
    await database.root`update agents set config_version = 2 where id = ${at.agentId}`;
    expect(await run(at)).toMatchObject({ ok: false, summary: expect.stringContaining('Nothing was sent') });
    await expect(run(at, 2)).rejects.toMatchObject({ type: 'OUTCOME_UNKNOWN' });
    expect(at.requests()).toEqual([]);
  });

  test('an agent of another kind is not called', async () => {
    const at = await aCall(database, people, 'command', { command: ['true'] });
    await expect(run(at)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('each agent has a secret of its own', () => {
    expect(agentSecret(agentRoot, 'agt_1')).toMatch(/^whsec_/);
    expect(agentSecret(agentRoot, 'agt_1')).not.toBe(agentSecret(agentRoot, 'agt_2'));
    expect(agentSecret('other root', 'agt_1')).not.toBe(agentSecret(agentRoot, 'agt_1'));
  });
});

describe('a lost answer', () => {
  /** An agent that remembers what it did by key, as ours has to. */
  function aMemory(loseFirst: 'before' | 'after') {
    const effects: string[] = [];
    let posts = 0;
    const script: Script = (request, response) => {
      if (request.method === 'GET')
        return effects.includes(request.key) ? json(response, 200, done) : json(response, 404);
      posts += 1;
      const isLost = posts === 1;
      if (!isLost || loseFirst === 'after') effects.push(request.key);
      return isLost ? void response.socket?.destroy() : json(response, 200, done);
    };
    return { effects, script };
  }

  test('is asked for again by key, and the effect happens once', async () => {
    const { effects, script } = aMemory('after');
    const at = await prepare(script);
    await expect(run(at)).rejects.toThrow();
    expect(await run(at, 2)).toEqual(done);
    expect(at.methods()).toEqual(['POST', 'GET']);
    expect(effects).toEqual([at.call.key]);
  });

  test('of a request that never arrived leads to one more request', async () => {
    const { effects, script } = aMemory('before');
    const at = await prepare(script);
    await expect(run(at)).rejects.toThrow();
    expect(await run(at, 2)).toEqual(done);
    expect(at.methods()).toEqual(['POST', 'GET', 'POST']);
    expect(effects).toEqual([at.call.key]);
  });

  test.each([405, 501])(
    'of an agent that cannot be asked (%i) is unknown, and nothing is sent again',
    async (status) => {
      const at = await prepare((request, response) =>
        request.method === 'GET' ? json(response, status) : void response.socket?.destroy(),
      );
      await expect(run(at)).rejects.toThrow();
      await expect(run(at, 2)).rejects.toMatchObject({ type: 'OUTCOME_UNKNOWN', nonRetryable: true });
      expect(at.methods()).toEqual(['POST', 'GET']);
    },
  );

  test.each([500, 502, 503, 429])(
    'of an agent that answers the question with %i is asked for again, not taken for a failure',
    async (status) => {
      let asked = 0;
      const at = await prepare((request, response) => {
        if (request.method === 'POST') return void response.socket?.destroy();
        asked += 1;
        return asked === 1 ? json(response, status) : json(response, 200, done);
      });
      await expect(run(at)).rejects.toThrow();
      await expect(run(at, 2)).rejects.toThrow();
      expect(await run(at, 3)).toEqual(done);
      expect(at.methods()).toEqual(['POST', 'GET', 'GET']);
    },
  );

  test('of an agent that stays silent becomes a question for a person in the end', async () => {
    const at = await prepare((_request, response) => void response.socket?.destroy());
    await expect(run(at, 11)).rejects.not.toMatchObject({ type: 'OUTCOME_UNKNOWN' });
    await expect(run(at, 12)).rejects.toMatchObject({ type: 'OUTCOME_UNKNOWN' });
    expect(at.methods()).toEqual(['GET', 'GET']);
  });

  test('of an agent that is gone is not taken for a request that was never sent', async () => {
    const at = await aCall(database, people, 'http', {
      url: 'http://127.0.0.1:9/',
      allowPrivateNetwork: true,
    });
    await expect(run(at, 2)).rejects.toThrow();
  });
});

describe('work that was accepted', () => {
  test.each([500, 503])(
    'is not taken for failed because one question about it was answered with %i',
    async (status) => {
      const at = await prepare((request, response) =>
        request.method === 'POST' ? json(response, 202) : json(response, status),
      );
      await expect(run(at)).rejects.toThrow();
    },
  );

  test.each([404, 405])('and that the agent then knows nothing of (%i) is unknown', async (status) => {
    const at = await prepare((request, response) =>
      request.method === 'POST' ? json(response, 202) : json(response, status),
    );
    await expect(run(at)).rejects.toMatchObject({ type: 'OUTCOME_UNKNOWN' });
  });

  test('is not taken for never sent because its agent is away when asked', async () => {
    const leaving = createServer((_request, response) => {
      response.writeHead(202, { connection: 'close' }).end();
      leaving.close();
    });
    await new Promise<void>((resolve) => leaving.listen(0, '127.0.0.1', resolve));
    const address = `http://127.0.0.1:${(leaving.address() as AddressInfo).port}/`;
    const at = await aCall(database, people, 'http', { url: address, allowPrivateNetwork: true });
    await expect(run(at)).rejects.toThrow();
  });

  test('is no longer asked for once it is cancelled', async () => {
    const at = await prepare((_request, response) => json(response, 202));
    const environment = anEnvironment();
    const running = run(at, 1, environment);
    await eventually(() => at.methods().length).toBeGreaterThan(1);
    environment.cancel();
    await expect(running).rejects.toBeInstanceOf(CancelledFailure);
  });

  test('gives signs of life while it is asked for', async () => {
    let finish = false;
    const at = await prepare((_request, response) =>
      finish ? json(response, 200, done) : json(response, 202),
    );
    const environment = anEnvironment();
    environment.on('heartbeat', () => (finish = true));
    expect(await run(at, 1, environment)).toEqual(done);
  });
});
