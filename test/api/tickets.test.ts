import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, verify } from 'node:crypto';
import { expect, test } from 'vitest';
import { signalCommand, signTicket } from '../../api/tickets.ts';
import { parseClaims, type TicketClaims } from '../../domain/ticket.ts';

const pair = generateKeyPairSync('ed25519');
const claims: TicketClaims = {
  jti: 'tkt_1',
  approvalId: 'apr_1',
  workflowId: 'task/tsk_1',
  principalId: 'prn_1',
  decision: 'approve',
  digest: 'd'.repeat(64),
  reason: 'it\'s "fine" — ü',
  guidance: null,
  acknowledgedFindings: ['F1'],
  breakGlass: false,
  expiresAtMs: 1_800_000_000_000,
};

test('a ticket carries its claims and a signature over exactly their bytes', () => {
  const [text = '', signature = ''] = signTicket(pair.privateKey, claims).split('.');
  const signed = Buffer.from(text, 'base64url');
  expect(parseClaims(signed.toString('utf8'))).toEqual(claims);
  expect(verify(null, signed, pair.publicKey, Buffer.from(signature, 'base64url'))).toBe(true);
  signed[10] = (signed[10] ?? 0) ^ 1;
  expect(verify(null, signed, pair.publicKey, Buffer.from(signature, 'base64url'))).toBe(false);
});

test('the command line reaches the program word for word', () => {
  const ticket = signTicket(pair.privateKey, claims);
  const given = { address: "h'; rm -rf ~:1", namespace: 'a b', workflowId: 'task/tsk_1', ticket };
  const line = signalCommand(given).replace(/^temporal/, `printf '%s\\n'`);
  const words = execFileSync('/bin/sh', ['-c', line], { encoding: 'utf8' }).trimEnd().split('\n');
  expect(words).toEqual([
    ...['workflow', 'signal', '--address', given.address, '--namespace', 'a b'],
    ...['--workflow-id', 'task/tsk_1', '--name', 'approval', '--input', JSON.stringify({ ticket })],
  ]);
});
