import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  checkTicket,
  parseClaims,
  type TicketClaims,
  ticketClaims,
  ticketLifetimeMs,
} from '../../domain/ticket.ts';
import { propertyRuns } from './runs.ts';

const claims: TicketClaims = {
  jti: 'tkt_1',
  approvalId: 'apr_1',
  workflowId: 'task/tsk_1',
  principalId: 'prn_1',
  decision: 'approve',
  digest: 'd1',
  reason: null,
  guidance: null,
  acknowledgedFindings: ['F1'],
  breakGlass: false,
  expiresAtMs: 1000,
};

describe('parseClaims', () => {
  test('what a ticket binds is read as it was written', () => {
    expect(parseClaims(JSON.stringify(ticketClaims(claims)))).toEqual(claims);
    expect(parseClaims(JSON.stringify({ ...claims, reason: 'fine' }))).toMatchObject({ reason: 'fine' });
  });

  test.each(Object.keys(claims))('without %s it is no ticket', (key) => {
    const { [key as keyof TicketClaims]: _left, ...rest } = claims;
    expect(parseClaims(JSON.stringify(rest))).toBeNull();
  });

  test.each<[string, Record<string, unknown>]>([
    ['a decision of another kind', { decision: 'Approve' }],
    ['a decision in a list', { decision: ['approve'] }],
    ['an id that is no text', { approvalId: 1 }],
    ['a reason that is no text', { reason: {} }],
    ['guidance that is no text', { guidance: 7 }],
    ['findings that are no list', { acknowledgedFindings: 'F1' }],
    ['a finding that is no text', { acknowledgedFindings: [1] }],
    ['a glass that is no yes or no', { breakGlass: 'yes' }],
    ['an expiry as text', { expiresAtMs: '1000' }],
    ['no expiry', { expiresAtMs: null }],
  ])('%s is no ticket', (_what, wrong) => {
    expect(parseClaims(JSON.stringify({ ...claims, ...wrong }))).toBeNull();
  });

  test.each(['', 'null', '[]', '"ticket"', '{', '1'])('%j is no ticket', (text) => {
    expect(parseClaims(text)).toBeNull();
  });

  test('no text at all breaks the reader', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(parseClaims(text)).toBeNull();
      }),
      propertyRuns,
    );
  });
});

describe('checkTicket', () => {
  test('it counts for its run until it expires', () => {
    expect(checkTicket(claims, 'task/tsk_1', 999)).toBeNull();
  });

  test('it does not count at the moment it expires', () => {
    expect(checkTicket(claims, 'task/tsk_1', 1000)).toMatchObject({ refused: 'EXPIRED' });
  });

  test('it does not count for another run, not even for a later run of the same task', () => {
    expect(checkTicket(claims, 'task/tsk_1/2', 0)).toMatchObject({ refused: 'FORBIDDEN' });
    expect(checkTicket(claims, 'task/tsk_2', 2000)).toMatchObject({ refused: 'FORBIDDEN' });
  });

  test('it lives for fifteen minutes', () => {
    expect(ticketLifetimeMs).toBe(900_000);
  });
});
