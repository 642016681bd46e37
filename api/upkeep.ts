import { setTimeout as sleep } from 'node:timers/promises';
import { forgedTickets } from '../db/forged-tickets.ts';
import { deleteExpired } from '../db/limits.ts';
import { endThreat, overdueThreats, raiseThreat } from '../db/shield.ts';
import { shieldRules } from '../domain/shield.ts';
import type { ApiDeps } from './context.ts';
import { describeError } from './problems.ts';

const everyMs = 10_000;
const batch = 5_000;

/** One round of what the passing of time asks for; every process may do it, as each step is safe to repeat. */
export async function keepUp(deps: Pick<ApiDeps, 'database' | 'log' | 'now'>): Promise<void> {
  const { db } = deps.database;
  const steps = [
    () => deleteExpired(db, batch),
    async () => {
      for (const id of await overdueThreats(db, batch))
        await endThreat(db, {
          ...{ id, state: 'expired', actor: 'shield', opKey: `threat.expire:${id}` },
          reason: 'nothing renewed it',
        });
    },
    async () => {
      for (const rule of shieldRules.filter(({ signal }) => signal === 'ticket-forged')) {
        const { count, evidence } = await forgedTickets(db, rule.windowMs);
        if (count < rule.threshold) continue;
        const subject = { kind: 'system', id: 'approval-signals', address: null } as const;
        // Once a window, whichever process comes first.
        const opKey = `threat.forged:${Math.floor(deps.now() / rule.windowMs)}`;
        await raiseThreat(db, { rule, subject, evidence, opKey });
      }
    },
  ];
  for (const step of steps)
    try {
      await step();
    } catch (error) {
      deps.log.warn({ err: describeError(error) }, 'a step of the upkeep failed; the next round repeats it');
    }
}

/** Rounds until it is stopped. */
export function startUpkeep(deps: ApiDeps): { stop(): Promise<void> } {
  const ending = new AbortController();
  async function loop(): Promise<void> {
    while (!ending.signal.aborted) {
      await keepUp(deps);
      await sleep(everyMs, undefined, { signal: ending.signal }).catch(() => undefined);
    }
  }
  const running = loop();
  return {
    stop() {
      ending.abort();
      return running;
    },
  };
}
