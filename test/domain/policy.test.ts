import { expect, test } from 'vitest';
import { approvalPolicy } from '../../domain/policy.ts';

test.each([
  ['low', 1],
  ['medium', 1],
  ['high', 2],
] as const)('work of %s risk needs the yes of %i', (risk, approvals) => {
  expect(approvalPolicy(risk)).toEqual({ version: 1, approvals, expiresInMs: 72 * 3_600_000 });
});
