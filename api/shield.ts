import { appendEvents } from '../db/events.ts';
import { newId } from '../db/ids.ts';
import { raiseThreat } from '../db/shield.ts';
import { eventInputSchema, eventTypes } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { crosses, isTold, shieldRules, type Signal, type Subject } from '../domain/shield.ts';
import { isLoopback, unknownAddress } from './addresses.ts';
import type { ApiDeps } from './context.ts';
import { describeError } from './problems.ts';
import { minuteMs, type Quota } from './quota.ts';
import type { SettingsCache } from './settings.ts';

export type Shield = {
  /** Counts a signal by every rule for it, raises what crosses, and tells of it in the log of events. */
  see(seen: Seen): Promise<void>;
};

export type Seen = {
  signal: Exclude<Signal, 'ticket-forged'> | 'refused';
  address: string;
  keyId: string | null;
  principalId: string | null;
  evidence: JsonObject;
};

export function createShield(deps: ApiDeps, quota: Quota, settings: SettingsCache): Shield {
  const { db, log } = deps.database;

  async function count(seen: Seen): Promise<void> {
    const rules = shieldRules.filter((rule) => rule.signal === seen.signal);
    await Promise.all(
      rules.map(async (rule) => {
        const subject = subjectOf(rule.subject, seen);
        if (subject === null) return;
        const key = `shield:${rule.kind}:${subject.id}:${subject.address ?? ''}`;
        const counted = await quota.add(key, 1, { windowMs: rule.windowMs, mayFail: true });
        if (!crosses(rule, counted.count)) return;
        await raiseThreat(db, { rule, subject, evidence: seen.evidence, opKey: `threat:${newId('op')}` });
        settings.forget();
      }),
    );
  }

  async function tell({ signal, address, keyId, principalId, evidence }: Seen): Promise<void> {
    const type = signal === 'login-failed' ? eventTypes.loginFailed : eventTypes.accessDenied;
    const who = principalId ?? `${address}:${keyId ?? ''}`;
    const { count } = await quota.add(`told:${signal}:${who}`, 1, { windowMs: minuteMs, mayFail: true });
    if (!isTold(count)) return;
    // `more` is how many came since the last one that was told.
    const more = count === 1 ? 1 : count - count / 10;
    const payload = { ...evidence, address, keyId, principalId, signal, count, more };
    const source = { type: 'system', id: 'shield' };
    await appendEvents(log, [eventInputSchema.parse({ type, source, severity: 'warning', payload })]);
  }

  return {
    async see(seen) {
      try {
        await Promise.all([count(seen), tell(seen)]);
      } catch (error) {
        // The request is refused already; its answer does not become a failure because watching failed.
        deps.log.warn({ err: describeError(error), signal: seen.signal }, 'Shield could not count this');
      }
    },
  };
}

function subjectOf(kind: Subject['kind'], seen: Seen): Subject | null {
  const { address, keyId, principalId } = seen;
  const isKnown = address !== unknownAddress;
  // Everybody who works on this machine has the loopback address; one of them cannot shut the others out.
  if (kind === 'address')
    return isKnown && !isLoopback(address) ? { kind, id: address, address: null } : null;
  if (kind === 'key') return isKnown && keyId !== null ? { kind, id: keyId, address } : null;
  if (kind === 'principal') return principalId === null ? null : { kind, id: principalId, address: null };
  return null;
}
