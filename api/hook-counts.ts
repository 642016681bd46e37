import { addHookCounts, type HookCount } from '../db/hooks.ts';
import type { ApiDeps } from './context.ts';
import { describeError } from './problems.ts';

const everyMs = 250;

export type HookCounts = { note(hookId: string, what: 'received' | 'refused'): void };

/**
 * Gathers counts of a moment into one statement. Nobody waits for it: a hook that exists must not take longer to
 * refuse than one that does not.
 */
export function createHookCounts({ database, log }: Pick<ApiDeps, 'database' | 'log'>): HookCounts {
  let counts = new Map<string, HookCount>();
  let timer: NodeJS.Timeout | null = null;

  async function write(): Promise<void> {
    timer = null;
    const gathered = [...counts.values()];
    counts = new Map();
    try {
      await addHookCounts(database.log, gathered);
    } catch (error) {
      log.warn({ err: describeError(error) }, 'messages to hooks were not counted');
    }
  }

  return {
    note(id, what) {
      const count = counts.get(id) ?? { id, received: 0, refused: 0 };
      count[what] += 1;
      counts.set(id, count);
      timer ??= setTimeout(() => void write(), everyMs);
      timer.unref();
    },
  };
}
