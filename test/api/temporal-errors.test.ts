import {
  ServiceError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { ProblemError } from '../../api/problems.ts';
import { asUnavailable, rejectionOf, silenceOf } from '../../api/temporal-errors.ts';

function grpcError(code: number, details = ''): Error {
  return Object.assign(new Error(`${code} ${details}`), { code, details, metadata: {} });
}

function service(code: number, details?: string): ServiceError {
  return new ServiceError('Workflow Update failed', { cause: grpcError(code, details) });
}

describe('an update without an answer', () => {
  test.each([
    ['a validator refused', new WorkflowUpdateFailedError('no', new Error('no')), 'rejected'],
    ['there is no such run', new WorkflowNotFoundError('gone', 'task/1', undefined), 'not-found'],
    ['the deadline passed', new WorkflowUpdateRPCTimeoutOrCancelledError('late'), 'unreachable'],
    ['the server is away', service(14, 'no connection'), 'unreachable'],
    ['the server refuses this client', service(16, 'no'), 'unreachable'],
    ['the server is busy', service(8, 'too many updates'), 'busy'],
    ['the worker lost its place', service(9, 'due to unexpected workflow task failure.'), 'busy'],
    ['the run is paused', service(9, 'Workflow is paused. Cannot update the workflow.'), 'paused'],
  ])('because %s', (_why, error, silence) => {
    expect(silenceOf(error)).toBe(silence);
  });

  test('a defect of ours is none of these', () => {
    expect(silenceOf(new TypeError('x is not a function'))).toBeNull();
    const defect = new TypeError('x is not a function');
    expect(asUnavailable(defect)).toBe(defect);
  });

  test('is a 503 where the caller waits for the answer', () => {
    expect(asUnavailable(service(14))).toBeInstanceOf(ProblemError);
    expect(asUnavailable(service(14))).toMatchObject({ code: 'UNAVAILABLE' });
  });
});

describe('a rejection', () => {
  test('keeps the code of the run', () => {
    const failure = ApplicationFailure.nonRetryable('HALO is already paused.', 'CONFLICT');
    expect(rejectionOf(new WorkflowUpdateFailedError('Workflow Update failed', failure))).toEqual({
      refused: 'CONFLICT',
      message: 'HALO is already paused.',
    });
  });

  test('of an unknown kind is a conflict', () => {
    const failure = ApplicationFailure.nonRetryable('no', 'Whatever');
    expect(rejectionOf(new WorkflowUpdateFailedError('failed', failure)).refused).toBe('CONFLICT');
  });
});
