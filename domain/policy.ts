import type { Risk } from './task.ts';

export type ApprovalPolicy = { version: number; approvals: number; expiresInMs: number };

const hourMs = 3_600_000;

/** High risk needs two people, anything else one; nobody's silence counts for longer than 72 h (LEDGER 5.6). */
export function approvalPolicy(risk: Risk): ApprovalPolicy {
  return { version: 1, approvals: risk === 'high' ? 2 : 1, expiresInMs: 72 * hourMs };
}
