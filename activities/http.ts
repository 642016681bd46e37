import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { getAgent } from '../db/agents.ts';
import type { Database } from '../db/client.ts';
import { agentSecret } from '../db/signing-secret.ts';
import { findObjection } from '../db/task-attempts.ts';
import type { HttpConfig } from '../domain/agent.ts';
import { DomainError, refuse } from '../domain/refusal.ts';
import {
  type AgentCall,
  type AgentResult,
  executorHeartbeatEveryMs,
  readAgentResult,
} from '../domain/task.ts';
import { explainFetchError, guardedFetch, type GuardedResponse, refusalIn } from './guarded-fetch.ts';
import { signedHeaders } from './signed-headers.ts';

export type HttpActivities = ReturnType<typeof createHttpActivities>;

const maxAnswerBytes = 256 * 1024;
const askEveryMs = 500;
/** After this many tries without any answer a person has to look. */
const maxTries = 12;

/**
 * Runs an agent behind an HTTP endpoint. POST starts an attempt, signed, with its key as Idempotency-Key; GET with the
 * same key answers 200 with the result, 202 while it runs, 404 when that key was never seen.
 */
export function createHttpActivities({ database, agentRoot }: { database: Database; agentRoot: string }) {
  async function send(
    method: 'POST' | 'GET',
    agent: { id: string; config: HttpConfig },
    call: AgentCall,
    signal: AbortSignal,
  ): Promise<GuardedResponse> {
    const body = method === 'POST' ? JSON.stringify(call) : '';
    return guardedFetch({
      url: agent.config.url,
      method,
      headers: {
        accept: 'application/json',
        ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
        'idempotency-key': call.key,
        'dreamnet-epoch': String(call.epoch ?? 0),
        ...signedHeaders(call.key, body, [agentSecret(agentRoot, agent.id)]),
      },
      body: method === 'POST' ? body : null,
      timeoutMs: call.timeoutMs,
      maxBytes: maxAnswerBytes,
      allowPrivateNetwork: agent.config.allowPrivateNetwork === true,
      signal,
    });
  }

  return {
    async runHttp(input: { agentId: string; call: AgentCall }): Promise<AgentResult> {
      const { call } = input;
      const row = await getAgent(database.db, input.agentId);
      if (row?.executor !== 'http')
        throw new DomainError(refuse('NOT_FOUND', `No HTTP agent ${input.agentId}.`));
      const agent = { id: row.id, config: row.config as HttpConfig };
      const context = Context.current();
      const signal = context.cancellationSignal;
      const ask = (): Promise<GuardedResponse> => send('GET', agent, call, signal);
      const beat = setInterval(() => context.heartbeat(call.key), executorHeartbeatEveryMs);
      let mayHaveArrived = context.info.attempt > 1;
      try {
        // The agent may have been changed since the dispatch was checked: the row read above is what would be called.
        const objection = await findObjection(database.db, call.key, row);
        if (objection !== null) return undone(objection, mayHaveArrived);
        // An earlier try of this attempt may have arrived: ask before sending again.
        const known = mayHaveArrived ? await ask() : null;
        const isNew = known === null || known.status === 404;
        const first = isNew ? await send('POST', agent, call, signal) : known;
        mayHaveArrived = true;
        return await follow(first, !isNew, ask, signal);
      } catch (error) {
        signal.throwIfAborted();
        return explain(error, mayHaveArrived, context.info.attempt);
      } finally {
        clearInterval(beat);
      }
    },
  };
}

function undone(because: string, mayHaveArrived: boolean): AgentResult {
  if (mayHaveArrived) throw ApplicationFailure.nonRetryable(because, 'OUTCOME_UNKNOWN');
  return { ok: false, summary: `Nothing was sent: ${because}.` };
}

async function follow(
  first: GuardedResponse,
  isFirstAsked: boolean,
  ask: () => Promise<GuardedResponse>,
  signal: AbortSignal,
): Promise<AgentResult> {
  let answer = first;
  let asked = isFirstAsked;
  while (answer.status === 202) {
    await sleep(askEveryMs, undefined, { signal });
    answer = await ask();
    asked = true;
  }
  const { status } = answer;
  if (status >= 200 && status < 300) return readAgentResult(parse(answer.body));
  if (!asked) return { ok: false, summary: `The agent answered ${status}.` };
  // The question failed, which says nothing about the work.
  const because = `the agent answered ${status} when asked about the attempt`;
  if (mayPass(status)) throw new Error(because);
  throw ApplicationFailure.nonRetryable(because, 'OUTCOME_UNKNOWN');
}

function mayPass(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501);
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}

function explain(error: unknown, mayHaveArrived: boolean, tries: number): AgentResult {
  if (error instanceof ApplicationFailure) throw error;
  const refusal = refusalIn(error);
  if (refusal !== null) return { ok: false, summary: refusal.message };
  const why = explainFetchError(error);
  const neverSent = /ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|bad port/.test(why);
  if (neverSent && !mayHaveArrived) return { ok: false, summary: `The agent could not be reached: ${why}` };
  if (tries >= maxTries)
    throw ApplicationFailure.nonRetryable(
      `the agent did not answer ${tries} times: ${why}`,
      'OUTCOME_UNKNOWN',
    );
  throw error;
}
