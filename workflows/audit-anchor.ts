import { proxyActivities } from '@temporalio/workflow';
import type { AuditActivities } from '../activities/audit.ts';

const { anchorAudit } = proxyActivities<AuditActivities>({
  startToCloseTimeout: '30s',
  retry: { initialInterval: '1s', maximumInterval: '10s', maximumAttempts: 4 },
});

/** One signed head of the audit chain, each minute by its schedule; nothing while the chain has not grown. */
export async function auditAnchor(): Promise<{ anchored: number | null; written: number }> {
  return anchorAudit();
}
