import { spawn } from 'node:child_process';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatKey } from '../../domain/key.ts';

export type Asked = {
  method: string;
  path: string;
  query: URLSearchParams;
  key: string | null;
  body: Record<string, unknown> | null;
};
/** `afterMs`: how long it is in coming. */
export type Answer = { status?: number; body: unknown; headers?: Record<string, string>; afterMs?: number };
type Handler = (asked: Asked) => Answer;

export type FakeApi = {
  url: string;
  asked: Asked[];
  /** Answers a path, written as `GET /v1/me`. */
  on(route: string, handler: Handler): void;
  close(): Promise<void>;
};

/** A server that plays the API: what it was asked is kept, what it answers is given by the test. */
export async function startFakeApi(): Promise<FakeApi> {
  const routes = new Map<string, Handler>();
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void readAsked(request).then(async (one) => {
      asked.push(one);
      const handler =
        routes.get(`${one.method} ${one.path}`) ??
        (() => problem(404, 'NOT_FOUND', 'There is no such path.'));
      const { status = 200, body, headers, afterMs } = handler(one);
      if (afterMs !== undefined) await sleep(afterMs);
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    on: (route, handler) => void routes.set(route, handler),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function readAsked(request: IncomingMessage): Promise<Asked> {
  const url = new URL(request.url ?? '/', 'http://api');
  const body = await text(request);
  const isLines = request.headers['content-type'] === 'application/x-ndjson';
  return {
    method: request.method ?? '',
    path: url.pathname,
    query: url.searchParams,
    key: request.headers.authorization?.replace('Bearer ', '') ?? null,
    body: body === '' ? null : isLines ? { lines: body.trimEnd().split('\n') } : JSON.parse(body),
  };
}

export function problem(status: number, code: string, detail: string): Answer {
  const type = `urn:dreamnet:problem:${code.toLowerCase()}`;
  return { status, body: { type, title: 'A title', status, detail, code, requestId: 'req_1' } };
}

export const key = formatKey('live', 'a'.repeat(12), 'b'.repeat(43));

export type Ended = { code: number | null; stdout: string; stderr: string };
export type Running = {
  ended: Promise<Ended>;
  /** Resolves once stdout has this text. */
  printed(part: string): Promise<void>;
  kill(signal: NodeJS.Signals): void;
};

const launcher = `${import.meta.dirname}/../../cli/dreamnet.mjs`;

/**
 * Starts the real command line as a child process, with nothing of this process's environment but the path. Its stdin
 * holds the input and ends, or stays open as that of a writer who has more to say.
 */
export function start(
  args: string[],
  env: Record<string, string> = {},
  input = '',
  stdin: 'ends' | 'stays open' = 'ends',
): Running {
  const child = spawn(process.execPath, [launcher, ...args], {
    env: { PATH: process.env.PATH ?? '', DREAMNET_KEY: key, DREAMNET_DATA_DIR: '/nonexistent', ...env },
  });
  let stdout = '';
  let stderr = '';
  const waiting: { part: string; done: () => void }[] = [];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
    for (const { part, done } of waiting) if (stdout.includes(part)) done();
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.write(input);
  if (stdin === 'ends') child.stdin.end();
  const ended = new Promise<Ended>((resolve) =>
    child.on('close', (code) => resolve({ code, stdout, stderr })),
  );
  return {
    ended,
    printed: (part) =>
      new Promise((resolve, reject) => {
        if (stdout.includes(part)) return resolve();
        waiting.push({ part, done: resolve });
        void ended.then(() => reject(new Error(`it ended without "${part}": ${stdout}${stderr}`)));
      }),
    kill: (signal) => void child.kill(signal),
  };
}

export function run(args: string[], env: Record<string, string> = {}, input = ''): Promise<Ended> {
  return start(args, env, input).ended;
}

const link = (workflowId: string) => ({ workflowId, runId: null, url: `http://ui/${workflowId}` });

export const approvalId = 'apr_0123456789abcdef';
export const taskId = 'tsk_0123456789abcdef';
export const digest = 'd'.repeat(64);

const noResults = { succeeded: 0, failed: 0, unknown: 0, rejected: 0, lastRunAt: null };

export function approval(more: object = {}) {
  return {
    id: approvalId,
    kind: 'task',
    taskId,
    title: 'Repair shop',
    summary: { type: 'repair.api.endpoint', target: 'probe:shop', payload: { restart: true } },
    risk: 'medium',
    digest,
    policyVersion: 1,
    state: 'open',
    requestedBy: { id: 'prn_admin', name: 'admin' },
    requiredApprovals: 1,
    rule: {
      policyId: 'built-in',
      policyVersion: 2,
      stage: { number: 1, of: 1, approvals: 1, given: 0, approvers: { roles: [], groups: [] } },
      votesLeft: 1,
      escalateTo: { roles: [], groups: [] },
      reasonRequired: false,
      freshLoginMs: null,
      editAllowed: true,
      handOverAllowed: true,
      glassBroken: 0,
    },
    findings: [],
    votes: [],
    handovers: [],
    guidance: null,
    reminders: 0,
    remindedAt: null,
    escalatedAt: null,
    ageSeconds: 60,
    createdAt: '2026-01-01T00:00:00.000Z',
    expiresAt: '2026-01-04T00:00:00.000Z',
    decidedAt: null,
    closedBecause: null,
    temporal: link(`task/${taskId}`),
    allowedActions: ['approve', 'reject'],
    whyNot: null,
    expiresInSeconds: 259_140,
    touches: {
      ...{ target: 'probe:shop', type: 'repair.api.endpoint', payload: '{"restart":true}' },
      agent: null,
    },
    reversible: false,
    evidenceCount: 0,
    groupSize: 1,
    riskProposedLater: null,
    pastResults: { here: noResults, anywhere: noResults },
    ...more,
  };
}

export function task(more: object = {}) {
  return {
    id: taskId,
    type: 'repair.api.endpoint',
    title: 'Repair shop',
    target: 'probe:shop',
    targetRole: 'DeployKeeper',
    state: 'running',
    risk: 'medium',
    origin: 'api',
    requestedBy: 'prn_admin',
    agentId: 'agt_1',
    dispatchMode: 'manual',
    run: 1,
    attempt: 1,
    approvalId,
    outcomeUnknown: false,
    progress: null,
    error: null,
    ...{ squad: null, priority: 'normal', score: 50, dependsOn: [], parentId: null },
    ...{ notBefore: null, dueAt: null, waitsFor: null },
    supersededBy: null,
    supersededBecause: null,
    createdAt: '2026-01-01T00:00:00.000Z',
    updatedAt: '2026-01-01T00:00:00.000Z',
    temporal: link(`task/${taskId}`),
    payload: {},
    evidence: [],
    result: null,
    ...more,
  };
}

export function event(id: string, more: object = {}) {
  return {
    id,
    type: 'deploy.finished',
    category: 'deploy',
    source: { type: 'api', id: 'cli' },
    severity: 'info',
    payload: { id },
    recordedAt: '2026-01-01T00:00:00.000Z',
    cursor: `cursor-${id}`,
    ...more,
  };
}
