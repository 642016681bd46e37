import { type KeyObject, sign } from 'node:crypto';
import { canonical } from '../domain/json.ts';
import { type TicketClaims, ticketClaims } from '../domain/ticket.ts';

/** Signs what a ticket binds; whoever holds the text can use it once, for exactly that. */
export function signTicket(key: KeyObject, claims: TicketClaims): string {
  const text = Buffer.from(canonical(ticketClaims(claims)), 'utf8');
  return `${text.toString('base64url')}.${sign(null, text, key).toString('base64url')}`;
}

/** The ready line for a terminal; every part is quoted, so that a shell reads it as it is. */
export function signalCommand(input: {
  address: string;
  namespace: string;
  workflowId: string;
  ticket: string;
}): string {
  const words = [
    ...['temporal', 'workflow', 'signal', '--address', input.address, '--namespace', input.namespace],
    ...['--workflow-id', input.workflowId, '--name', 'approval'],
    ...['--input', JSON.stringify({ ticket: input.ticket })],
  ];
  return words.map(quote).join(' ');
}

function quote(word: string): string {
  return /^[A-Za-z0-9_.:/-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
