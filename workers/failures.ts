import { ApplicationFailure } from '@temporalio/common';
import type { ActivityExecuteInput, ActivityInboundCallsInterceptor, Next } from '@temporalio/worker';
import { DomainError } from '../domain/refusal.ts';

/** The one place where a refusal leaves an activity: retrying would not change the answer, so the server must not. */
export function translateFailures(): ActivityInboundCallsInterceptor {
  return {
    async execute(
      input: ActivityExecuteInput,
      next: Next<ActivityInboundCallsInterceptor, 'execute'>,
    ): Promise<unknown> {
      try {
        return await next(input);
      } catch (error) {
        if (!(error instanceof DomainError)) throw error;
        const details = error.details === undefined ? [] : [error.details];
        throw ApplicationFailure.create({
          message: error.message,
          type: error.code,
          nonRetryable: true,
          details,
          cause: error,
        });
      }
    },
  };
}
