import { generateKeyPairSync } from 'node:crypto';
import { destination, pino } from 'pino';
import { createApp } from '../../api/app.ts';
import type { ApiDeps } from '../../api/context.ts';
import { mintKey } from '../../api/keys.ts';
import { createRefusalAudit } from '../../api/refusal-audit.ts';
import { ProblemError } from '../../api/problems.ts';
import type { RunAnswer, RunAsk, TaskStart, TemporalPort } from '../../api/temporal.ts';
import type { SubscriptionAsk } from '../../api/temporal-subscriptions.ts';
import type { Database } from '../../db/client.ts';
import { newId } from '../../db/ids.ts';
import { createSecretBox } from '../../db/sealed.ts';
import { defaultHaloLimits, defaultHaloTriggers, type HaloTrigger } from '../../domain/halo-loop.ts';
import { storeKey } from '../../db/principals.ts';

export const pepper = 'a pepper that only tests use, long enough';
const pair = generateKeyPairSync('ed25519');
/** The key that signs heads of the audit. */
export const auditPair = generateKeyPairSync('ed25519');
export const ticketPublicKey = pair.publicKey;

const untouchable: ProxyHandler<object> = {
  get: () => {
    throw new Error('the database was reached');
  },
};

/** A database that must not be reached. */
export const noDatabase = {
  db: new Proxy({}, untouchable),
  log: new Proxy(() => undefined, { ...untouchable, apply: () => untouchable.get?.({}, '', {}) }),
  close: () => Promise.resolve(),
} as unknown as Database;

export type FakeTemporal = TemporalPort & {
  started: TaskStart[];
  asked: RunAsk[];
  signalled: { workflowId: string; message: unknown }[];
  schedules: unknown[];
  /** Runs that were told to look for a kill switch. */
  held: string[];
  sent: string[];
  redriven: string[];
  /** Redrives whose run was told to look at the record. */
  nudged: string[];
  /** What HALO's loop was handed. */
  triggers: HaloTrigger[];
  /** Subscriptions whose run was started, and what they were told. */
  subscriptions: string[];
  told: SubscriptionAsk[];
  /** What the run of a subscription does when it is told something; nothing by default. */
  tell: (ask: SubscriptionAsk) => Promise<unknown>;
  replayed: { replayId: string; subscription: string }[];
  /** What the run of a notification does; nothing by default. */
  send: (notificationId: string) => Promise<unknown>;
  /** Every call fails as it does while Temporal is down. */
  down: boolean;
  /** What a run answers; by default it does not exist yet. */
  answer: (ask: RunAsk) => Promise<RunAnswer>;
};

/** Temporal as the API sees it, in memory. */
export function fakeTemporal(): FakeTemporal {
  const up = (): void => {
    if (fake.down) throw new ProblemError('UNAVAILABLE', 'Temporal does not answer.');
  };
  const fake: FakeTemporal = {
    started: [],
    asked: [],
    signalled: [],
    schedules: [],
    held: [],
    sent: [],
    redriven: [],
    nudged: [],
    triggers: [],
    subscriptions: [],
    told: [],
    tell: () => Promise.resolve(),
    replayed: [],
    send: () => Promise.resolve(),
    down: false,
    answer: () => Promise.resolve({ silent: 'not-found' }),
    async startTask(start) {
      up();
      fake.started.push(start);
      return { runId: `run-of-${start.taskId}` };
    },
    async ask(ask) {
      fake.asked.push(ask);
      return fake.down ? { silent: 'unreachable' } : fake.answer(ask);
    },
    async signalApproval(workflowId, message) {
      up();
      fake.signalled.push({ workflowId, message });
    },
    async signalHold(workflowId) {
      up();
      fake.held.push(workflowId);
    },
    async requestCycle() {
      up();
      return { cycleId: 'cyc_1', because: 'it starts now' };
    },
    async setHaloPaused({ paused }) {
      up();
      return { paused };
    },
    async signalHalo(trigger) {
      up();
      fake.triggers.push(trigger);
    },
    async haloState() {
      up();
      return null;
    },
    async runProbe() {
      up();
      return { runId: 'run-1', result: { ok: true, eventId: 'evt_1', failures: [] }, failed: null };
    },
    async sendNotification(start) {
      up();
      fake.sent.push(start.notificationId);
      await fake.send(start.notificationId);
    },
    async startRedrive({ redriveId }) {
      up();
      fake.redriven.push(redriveId);
      return { runId: `run-of-${redriveId}` };
    },
    async signalRedrive(redriveId) {
      up();
      fake.nudged.push(redriveId);
    },
    async startSubscription(key) {
      up();
      fake.subscriptions.push(key);
    },
    async signalSubscription(ask) {
      up();
      fake.told.push(ask);
      await fake.tell(ask);
    },
    async startReplay(start) {
      up();
      fake.replayed.push(start);
      return { runId: `run-of-${start.replayId}` };
    },
    async putProbeSchedule(wanted) {
      up();
      fake.schedules.push(wanted);
    },
    async check() {
      up();
    },
  };
  return fake;
}

/** JSON as the outside world reads it, without our types. */
export type Untyped = ReturnType<typeof JSON.parse>;
export type RawBody = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;
export type Answer = { status: number; body: Untyped; headers: Headers };
export type Call = (
  method: string,
  path: string,
  given?: {
    as?: string;
    body?: unknown;
    raw?: RawBody;
    headers?: Record<string, string>;
    /** The address at the other end of the socket. */
    from?: string;
  },
) => Promise<Answer>;

export type TestApi = { deps: ApiDeps; call: Call; temporal: FakeTemporal };

/** The API over a database and a Temporal in memory; `call` sends a request and reads the JSON of the answer. */
export function createTestApi(database: Database, given: Partial<ApiDeps> = {}): TestApi {
  const temporal = fakeTemporal();
  const log = pino({ level: 'silent' }, destination(2));
  const deps: ApiDeps = {
    database,
    temporal,
    pepper,
    keyEnvironment: 'live',
    oidc: null,
    ticketKey: pair.privateKey,
    auditKeys: [auditPair.publicKey.export({ type: 'spki', format: 'pem' }).toString()],
    refusals: createRefusalAudit({ database, log }),
    haloCounts: { add: () => undefined, flush: () => Promise.resolve() },
    halo: { limits: defaultHaloLimits, triggers: defaultHaloTriggers },
    agentRoot: 'an agent root that only tests use, long enough',
    secretBox: createSecretBox('a secret box key that only tests use, long enough'),
    uiUrl: 'http://127.0.0.1:8233',
    address: '127.0.0.1:7233',
    namespace: 'default',
    rawSignals: false,
    http: { corsOrigins: [], trustedProxies: [], addressLimitPerMinute: 1_000_000 },
    streams: { perPrincipal: 20, perProcess: 200, heartbeatMs: 15_000 },
    stopping: new AbortController().signal,
    log,
    now: Date.now,
    ...given,
  };
  const app = createApp(deps);
  const call: Call = async (method, path, { as, body, raw, headers = {}, from } = {}) => {
    const request: RequestInit = {
      method,
      headers: {
        ...(as === undefined ? {} : { authorization: `Bearer ${as}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(raw === undefined ? {} : { body: raw, duplex: 'half' }),
    };
    const socket = from === undefined ? {} : { incoming: { socket: { remoteAddress: from } } };
    const response = await app.request(path, request, socket);
    const text = await textOf(response);
    const isJson = text !== '' && /[/+]json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, body: isJson ? JSON.parse(text) : text, headers: response.headers };
  };
  return { deps, call, temporal };
}

/** A live stream has no end, so it is let go of unread. */
async function textOf(response: Response): Promise<string> {
  if (response.headers.get('content-type') !== 'text/event-stream') return response.text();
  await response.body?.cancel();
  return '';
}

/** A key of a principal, stored as the API stores it. */
export async function aKey(
  database: Database,
  principalId: string,
  given: { expiresAt?: Date; scopes?: string[] } = {},
): Promise<{ id: string; key: string }> {
  const { id, key, hash } = mintKey(pepper);
  await storeKey(database.db, {
    id,
    principalId,
    label: 'test',
    hash,
    scopes: given.scopes ?? null,
    expiresAt: given.expiresAt ?? null,
    actor: 'test',
    opKey: newId('op'),
  });
  return { id, key };
}

/** One key for each of several principals, under the same names. */
export async function keysOf<T extends Record<string, string>>(
  database: Database,
  people: T,
): Promise<Record<keyof T, string>> {
  const entries = await Promise.all(
    Object.entries(people).map(async ([name, id]) => [name, (await aKey(database, id)).key] as const),
  );
  return Object.fromEntries(entries) as Record<keyof T, string>;
}
