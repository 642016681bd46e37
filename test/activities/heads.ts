import type { AuditAnchor } from '../../domain/audit.ts';

/** A head that nobody signed, for what only looks at its shape. */
export function headOf(chainNo: number, installation = 'an-installation'): AuditAnchor {
  const signature = 's'.repeat(86);
  return {
    chainNo,
    hash: `hash-of-${chainNo}`,
    installation,
    at: '2026-01-01T00:00:00.000Z',
    keyId: 'k',
    signature,
  };
}
