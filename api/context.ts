import type { KeyObject } from 'node:crypto';
import type { Context } from 'hono';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Logger } from 'pino';
import type { Database } from '../db/client.ts';
import type { Principal } from '../domain/access.ts';
import type { Problem } from './problems.ts';
import type { TemporalPort } from './temporal.ts';

export type ApiDeps = {
  database: Database;
  temporal: TemporalPort;
  /** Secret under which the secrets of keys are hashed. */
  pepper: string;
  /** Private half of the key that signs decision tickets; it exists in this process only. */
  ticketKey: KeyObject;
  /** Public halves, in PEM form, of the keys that sign heads of the audit. */
  auditKeys: string[];
  refusals: RefusalAudit;
  /** Root of the secrets that HTTP agents check signatures with. */
  agentRoot: string;
  /** Base address of Temporal's Web UI, without a slash at its end. */
  uiUrl: string;
  /** Address and namespace of Temporal as a person at a terminal would give them. */
  address: string;
  namespace: string;
  rawSignals: boolean;
  log: Logger;
  now: () => number;
};

export type ApiEnv = { Variables: { requestId: string; principal: Principal } };
export type Api = OpenAPIHono<ApiEnv>;
export type ApiContext = Context<ApiEnv>;

/** Writes into the audit who was refused what. */
export type RefusalAudit = {
  note(c: ApiContext, problem: Problem): Promise<void>;
  /** Writes what was only counted so far, and waits for what is being written. */
  flush(): Promise<void>;
};
