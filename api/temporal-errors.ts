import {
  isGrpcServiceError,
  QueryRejectedError,
  ServiceError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { refuse, refusalCodes, type Refusal } from '../domain/refusal.ts';
import { ProblemError } from './problems.ts';

const grpc = { resourceExhausted: 8, failedPrecondition: 9 } as const;

/** Runs calls to Temporal under a deadline; what is not answered by then is a 503. */
export type Deadlined = <T>(work: () => Promise<T>, ms?: number) => Promise<T>;

/** Why a run gave no answer to an update. */
export type Silence = 'rejected' | 'not-found' | 'paused' | 'busy' | 'unreachable';

function grpcErrorOf(error: unknown): { code: number; details: string } | null {
  const candidate = error instanceof ServiceError ? error.cause : error;
  return isGrpcServiceError(candidate) ? { code: candidate.code, details: candidate.details } : null;
}

/** Sorts what an update call threw; null for an error that is none of Temporal's. */
export function silenceOf(error: unknown): Silence | null {
  if (error instanceof WorkflowUpdateFailedError) return 'rejected';
  if (error instanceof WorkflowNotFoundError) return 'not-found';
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return 'unreachable';
  const cause = grpcErrorOf(error);
  if (cause?.code === grpc.resourceExhausted) return 'busy';
  if (cause?.code === grpc.failedPrecondition)
    // The same code tells of a worker that lost its place, which a repetition cures, and of a run that is paused.
    return /task failure/i.test(cause.details) ? 'busy' : 'paused';
  return cause !== null || error instanceof ServiceError ? 'unreachable' : null;
}

/** A refusal that a run gave by rejecting an update. */
export function rejectionOf(error: WorkflowUpdateFailedError): Refusal {
  const { cause } = error;
  const type = cause !== undefined && 'type' in cause ? cause.type : null;
  const code = refusalCodes.find((known) => known === type) ?? 'CONFLICT';
  return refuse(code, cause?.message ?? error.message);
}

/** True where the run asked for does not exist or has ended. */
export function isGone(error: unknown): boolean {
  return error instanceof WorkflowNotFoundError || error instanceof QueryRejectedError;
}

/** Makes the 503 of a call that Temporal did not answer; other errors stay what they are. */
export function asUnavailable(error: unknown): unknown {
  if (silenceOf(error) === null) return error;
  return new ProblemError('UNAVAILABLE', 'Temporal, or the worker behind it, does not answer.', {
    cause: error,
  });
}
