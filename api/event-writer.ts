import type { AppendedEvent, StatedEvent } from '../db/events.ts';
import { maxBatch } from '../domain/events.ts';

type Append = (inputs: StatedEvent[]) => Promise<AppendedEvent[]>;
type Waiting = {
  input: StatedEvent;
  resolve: (stored: AppendedEvent) => void;
  reject: (error: unknown) => void;
};

/** Two, so that one group is gathered while another is on its way to the disk. */
const maxWrites = 2;

/**
 * Lets single events that arrive together share one insert (group commit, DESIGN 4). An event waits only while earlier
 * ones are being written, and everybody is answered after the commit of their own.
 */
export function createEventWriter(append: Append): (input: StatedEvent) => Promise<AppendedEvent> {
  let waiting: Waiting[] = [];
  let writes = 0;

  async function write(group: Waiting[]): Promise<void> {
    try {
      const stored = await append(group.map(({ input }) => input));
      group.forEach(({ resolve, reject }, at) => {
        const one = stored[at];
        if (one === undefined) reject(new Error('the log answered for fewer events than it was given'));
        else resolve(one);
      });
    } catch (error) {
      const [only] = group;
      if (group.length === 1 && only !== undefined) only.reject(error);
      // One event that cannot be stored must not take the others with it.
      else for (const one of group) await write([one]);
    }
  }

  function next(): void {
    while (writes < maxWrites && waiting.length > 0) {
      const group = waiting.slice(0, maxBatch);
      waiting = waiting.slice(maxBatch);
      writes += 1;
      void write(group).finally(() => {
        writes -= 1;
        next();
      });
    }
  }

  return (input) =>
    new Promise((resolve, reject) => {
      waiting.push({ input, resolve, reject });
      next();
    });
}
