import { HTTPException } from 'hono/http-exception';
import { describe, expect, test } from 'vitest';
import { describeError, ProblemError, toProblem } from '../../api/problems.ts';
import { DomainError, refuse, type RefusalCode } from '../../domain/refusal.ts';

const statuses: Record<RefusalCode, number> = {
  INVALID: 400,
  NOT_FOUND: 404,
  FORBIDDEN: 403,
  CONFLICT: 409,
  STALE: 412,
  EXPIRED: 410,
  LIMIT: 429,
};

function driverError(code: string): Error {
  return Object.assign(new Error('host 10.0.0.7 user secret'), { code });
}

/** What drizzle throws: its own message quotes the values of the statement. */
function wrapped(cause: Error): Error {
  return Object.assign(new Error('Failed query: insert ... params: hunter2', { cause }), {
    query: 'insert ...',
    params: ['hunter2'],
  });
}

describe('a problem', () => {
  test.each(Object.entries(statuses) as [RefusalCode, number][])('%s is a %i', (code, status) => {
    const error = new DomainError(refuse(code, 'no', { why: 'because' }));
    expect(toProblem(error, 'req_1')).toMatchObject({
      status,
      code,
      detail: 'no',
      requestId: 'req_1',
      details: { why: 'because' },
    });
  });

  test.each([400, 401, 403, 404, 413, 415] as const)('an exception of Hono keeps its status %i', (status) => {
    expect(toProblem(new HTTPException(status, { message: 'no' }), 'req_1').status).toBe(status);
  });

  test('a defect says nothing of its cause', () => {
    const problem = toProblem(new Error('password=hunter2'), 'req_1');
    expect(problem).toMatchObject({ status: 500, code: 'INTERNAL' });
    expect(JSON.stringify(problem)).not.toContain('hunter2');
  });

  test.each([
    'ECONNREFUSED',
    'CONNECTION_CLOSED',
    'CONNECT_TIMEOUT',
    '57P01',
    '08006',
    '53100',
    '53300',
    '57014',
  ])('a database that answers %s is a 503 that names nobody', (code) => {
    for (const error of [driverError(code), wrapped(driverError(code))]) {
      const problem = toProblem(error, 'req_1');
      expect(problem).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
      expect(JSON.stringify(problem)).not.toMatch(/10\.0\.0\.7|secret|hunter2/);
    }
  });

  test('a value the database cannot hold is a 400', () => {
    expect(toProblem(wrapped(driverError('22P05')), 'req_1')).toMatchObject({ status: 400, code: 'INVALID' });
  });
});

test('a log line of a failed statement has neither the statement nor its values', () => {
  const text = JSON.stringify(describeError(wrapped(driverError('23505'))));
  expect(text).not.toMatch(/hunter2|insert/);
  expect(text).toContain('23505');
});

test('the details of a problem are optional', () => {
  expect(toProblem(new ProblemError('UNAVAILABLE', 'later'), 'req_1')).not.toHaveProperty('details');
});
