import type { Decision } from './approval.ts';
import type { JsonObject } from './json.ts';
import { refuse, type Refusal } from './refusal.ts';

/** A decision ticket lives this long, one use. */
export const ticketLifetimeMs = 15 * 60_000;

/** Everything a ticket binds (DESIGN 5): it decides one approval, one way, for one person, on one content. */
export type TicketClaims = {
  jti: string;
  approvalId: string;
  workflowId: string;
  principalId: string;
  decision: Decision;
  digest: string;
  reason: string | null;
  guidance: string | null;
  acknowledgedFindings: string[];
  breakGlass: boolean;
  expiresAtMs: number;
};

export function ticketClaims(claims: TicketClaims): JsonObject {
  return { ...claims };
}

function isClaims(value: unknown): value is TicketClaims {
  if (typeof value !== 'object' || value === null) return false;
  const claims = value as Record<string, unknown>;
  const texts = ['jti', 'approvalId', 'workflowId', 'principalId', 'digest'];
  return (
    texts.every((key) => typeof claims[key] === 'string') &&
    (claims.decision === 'approve' || claims.decision === 'reject') &&
    [claims.reason, claims.guidance].every((text) => text === null || typeof text === 'string') &&
    Array.isArray(claims.acknowledgedFindings) &&
    claims.acknowledgedFindings.every((id) => typeof id === 'string') &&
    typeof claims.breakGlass === 'boolean' &&
    typeof claims.expiresAtMs === 'number'
  );
}

/** Reads the signed text of a ticket; a text of any other shape is no ticket. */
export function parseClaims(text: string): TicketClaims | null {
  try {
    const value: unknown = JSON.parse(text);
    return isClaims(value) ? value : null;
  } catch {
    return null;
  }
}

/** A ticket counts only for the run it names and only before it expires. */
export function checkTicket(claims: TicketClaims, workflowId: string, nowMs: number): Refusal | null {
  if (claims.workflowId !== workflowId)
    return refuse('FORBIDDEN', `This ticket is for ${claims.workflowId}; it was sent to ${workflowId}.`);
  if (nowMs >= claims.expiresAtMs)
    return refuse('EXPIRED', 'This ticket has expired; print a new one with `dreamnet ticket`.');
  return null;
}
