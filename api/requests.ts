import {
  acknowledge,
  countRefused,
  getDecisionRequest,
  refuseRequest,
  storeDecisionRequest,
} from '../db/decision-requests.ts';
import { derivedId, digest as digestOf } from '../db/ids.ts';
import type { ApprovalMessage, Decision } from '../domain/approval.ts';
import { canonical } from '../domain/json.ts';
import { refuse, type Refusal, refusalCodes } from '../domain/refusal.ts';
import type { EditedContent } from '../domain/task.ts';
import type { ApiDeps, Asker } from './context.ts';
import { describeError, throwRefusal } from './problems.ts';
import type { RunAsk } from './temporal.ts';

/*
 * What a person asks of a run: a decision, a dispatch, a cancellation. It is written down first, then sent as an update
 * whose id is the id of that row, so that a repetition is the same request. A run that does not answer in time is no
 * failure: the row stays open and the relay in the worker sends it again until it is recorded.
 */
export type RunRequest = {
  asker: Asker;
  workflowId: string;
  /** The task, or the replay, that the run is about. */
  subjectId: string;
  reason: string | null;
} & (
  | {
      action: Decision;
      approvalId: string;
      digest: string;
      guidance: string | null;
      acknowledgedFindings: string[];
      breakGlass: boolean;
    }
  | { action: 'edit'; approvalId: string; digest: string; content: EditedContent }
  | { action: 'dispatch' | 'cancel'; approvalId: null; digest: null }
);

/** `delivered` is false while the request is still on its way to the run. */
export type Asked = { requestId: string; delivered: boolean };

/**
 * Stores a request and asks the run; throws the run's refusal. `settled` looks at the record again and says what a
 * person who comes too late is told.
 */
export async function askRun(
  deps: ApiDeps,
  request: RunRequest,
  settled: () => Promise<Refusal | null>,
): Promise<Asked> {
  const requestId = await storeRequest(deps, request);
  const ask = askOf(request, requestId);
  const said = await deps.temporal.ask(ask);
  if ('answer' in said) {
    const { answer } = said;
    if (answer.accepted) {
      noteHeard(deps, requestId);
      return { requestId, delivered: true };
    }
    const refusal = refuse(answer.refused, answer.message, answer.details);
    throwRefusal(await tellWhoWasFaster(refusal, settled));
  }
  if (said.silent === 'paused' && ask.name === 'decide') await signalInstead(deps, ask);
  return { requestId, delivered: await wasRecorded(deps, requestId, settled) };
}

/** A repetition finds the row of the first; a new try after a refusal is a new request, so its id counts refusals. */
async function storeRequest(deps: ApiDeps, request: RunRequest, refused = 0): Promise<string> {
  const { db } = deps.database;
  const { action, workflowId, subjectId, approvalId, digest, reason, asker } = request;
  const principalId = asker.principal.id;
  const id = derivedId(
    'dec',
    [approvalId ?? workflowId, principalId, variantOf(request), digest ?? '', refused].join('|'),
  );
  const { keyId = null, loginAtMs = null } = asker;
  const stored = await storeDecisionRequest(db, {
    ...{ id, action, source: 'api', subjectId, approvalId, workflowId, principalId, digest, reason },
    ...('guidance' in request ? saidWith(request) : {}),
    ...('content' in request ? { content: request.content } : {}),
    keyId,
    loginAt: loginAtMs === null ? null : new Date(loginAtMs),
    expiresAt: null,
  });
  if (stored.status === 'changed') return id;
  const earlier = await getDecisionRequest(db, id);
  if (earlier?.state !== 'refused') return id;
  return storeRequest(deps, request, await countRefused(db, { workflowId, principalId, action }));
}

function saidWith({
  guidance,
  acknowledgedFindings,
  breakGlass,
}: Extract<RunRequest, { guidance: unknown }>) {
  return { guidance, acknowledgedFindings, breakGlass };
}

/** Two edits of one approval, or an approval with and one without breaking the glass, are different requests. */
function variantOf(request: RunRequest): string {
  if (request.action === 'edit') return `edit:${digestOf(canonical(request.content))}`;
  return 'breakGlass' in request && request.breakGlass ? `${request.action}:break-glass` : request.action;
}

function askOf(request: RunRequest, requestId: string): RunAsk {
  const { workflowId, action } = request;
  if (request.approvalId === null || action === 'dispatch' || action === 'cancel')
    return { workflowId, requestId, name: action === 'cancel' ? 'cancel' : 'dispatch' };
  const message: ApprovalMessage = {
    approvalId: request.approvalId,
    decision: action,
    principalId: request.asker.principal.id,
    digest: request.digest,
    requestId,
    ...(request.reason === null ? {} : { reason: request.reason }),
  };
  return { workflowId, requestId, name: 'decide', message };
}

/** Temporal refuses updates of a run that it has paused itself, but keeps signals for it (DESIGN 5). */
async function signalInstead(deps: ApiDeps, ask: Extract<RunAsk, { name: 'decide' }>): Promise<void> {
  try {
    await deps.temporal.signalApproval(ask.workflowId, ask.message);
  } catch (error) {
    // The request is stored, so the relay delivers it once the run goes on.
    deps.log.warn({ err: describeError(error), requestId: ask.requestId }, 'signal instead of update failed');
  }
}

/** Beside the answer: where this note is lost, the relay sends the request once more, and the run knows it by its id. */
function noteHeard(deps: ApiDeps, requestId: string): void {
  acknowledge(deps.database.db, requestId).catch((error: unknown) =>
    deps.log.warn({ err: describeError(error), requestId }, 'an answer was not noted'),
  );
}

/** A run that has closed, or that was asked too often at once, says no without knowing who was faster; the record does. */
async function tellWhoWasFaster(refusal: Refusal, settled: () => Promise<Refusal | null>): Promise<Refusal> {
  return (refusal.refused === 'CONFLICT' ? await settled() : null) ?? refusal;
}

/** The run gave no answer: it may have recorded the request all the same, or somebody else was faster. */
async function wasRecorded(
  deps: ApiDeps,
  requestId: string,
  settled: () => Promise<Refusal | null>,
): Promise<boolean> {
  const row = await getDecisionRequest(deps.database.db, requestId);
  if (row === null) return false;
  if (row.state === 'recorded') return true;
  if (row.state === 'refused') {
    const { refused, message } = row.outcome ?? {};
    const code = refusalCodes.find((known) => known === refused) ?? 'CONFLICT';
    const refusal = refuse(code, typeof message === 'string' ? message : 'The run refused this.');
    throwRefusal(await tellWhoWasFaster(refusal, settled));
  }
  const refusal = await settled();
  if (refusal === null) return false;
  await refuseRequest(deps.database.db, row, refusal);
  throwRefusal(refusal);
}
