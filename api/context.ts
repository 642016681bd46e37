import type { KeyObject } from 'node:crypto';
import type { Context } from 'hono';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Logger } from 'pino';
import type { Database } from '../db/client.ts';
import type { Counted } from '../db/limits.ts';
import type { SecretBox } from '../db/sealed.ts';
import type { Principal } from '../domain/access.ts';
import type { Oidc } from './oidc.ts';
import type { HaloCounts } from './halo-counts.ts';
import type { HaloLimits } from '../domain/halo-loop.ts';
import type { Tier } from '../domain/tier.ts';
import type { Trace } from '../domain/trace.ts';
import type { Problem } from './problems.ts';
import type { StreamLimits } from './stream-places.ts';
import type { TemporalPort } from './temporal.ts';

export type ApiDeps = {
  database: Database;
  temporal: TemporalPort;
  /** Secret under which the secrets of keys are hashed. */
  pepper: string;
  /** The second part of every key; a key of another environment opens nothing here. */
  keyEnvironment: string;
  /** Checks logins of an identity provider; null where none is set. */
  oidc: Oidc | null;
  /** Private half of the key that signs decision tickets; it exists in this process only. */
  ticketKey: KeyObject;
  /** Public halves, in PEM form, of the keys that sign heads of the audit. */
  auditKeys: string[];
  refusals: RefusalAudit;
  haloCounts: HaloCounts;
  /** What the loop is set to, for people who ask where it stands. */
  halo: HaloSettings;
  /** Root of the secrets that HTTP agents and webhook channels check signatures with. */
  agentRoot: string;
  /** Seals what has to be sent to others and must not be readable in the database. */
  secretBox: SecretBox;
  /** Base address of Temporal's Web UI, without a slash at its end. */
  uiUrl: string;
  /** Address and namespace of Temporal as a person at a terminal would give them. */
  address: string;
  namespace: string;
  rawSignals: boolean;
  http: HttpRules;
  streams: StreamRules;
  /** Aborts when the process is told to end: what has no end of its own ends then. */
  stopping: AbortSignal;
  log: Logger;
  now: () => number;
};

/** Cooldown and budget, and what triggers a cycle by itself; 0 is off. */
export type HaloSettings = {
  limits: HaloLimits;
  triggers: { requests: number; errors: number; intervalMs: number };
};

/** Who may call from where, and how often without a key. */
export type HttpRules = {
  /** Origins whose pages may read answers; none switches CORS off. */
  corsOrigins: string[];
  /** Addresses and ranges of the proxies whose X-Forwarded-For counts. */
  trustedProxies: string[];
  addressLimitPerMinute: number;
};

/** How many streams may be open at once, and how long one is silent before it says that it lives. */
export type StreamRules = StreamLimits & { heartbeatMs: number };

/** What the steps of a request leave for those behind them. */
type Passed = {
  requestId: string;
  trace: Trace;
  address?: string;
  principal: Principal;
  /** The key that was presented; empty for a token of an identity provider. */
  keyId?: string | null;
  /** When the person logged in at the identity provider; empty for keys, which are presented anew each time. */
  loginAtMs?: number | null;
  /** The hook whose secret the message is signed with. */
  hookId?: string;
  tier: Tier;
  /** The count of this request, begun while its key was still being checked. */
  counted?: Promise<Counted>;
  /** The strictest of the limits shown so far. */
  remaining?: number;
  denial?: { because: string };
  /** The line numbers of a body of JSON lines, one for each of its values. */
  lines?: number[];
  /** True once the last step before the route let the request in. */
  isAdmitted?: boolean;
};
export type ApiEnv = { Variables: Passed };
/** Who asks for a decision, and by what. */
export type Asker = {
  principal: Principal;
  requestId: string;
  keyId?: string | null;
  loginAtMs?: number | null;
};
export type Api = OpenAPIHono<ApiEnv>;
export type ApiContext = Context<ApiEnv>;

/** Writes into the audit who was refused what. */
export type RefusalAudit = {
  note(c: ApiContext, problem: Problem): Promise<void>;
  /** Writes what was only counted so far, and waits for what is being written. */
  flush(): Promise<void>;
};
