import { describe, expect, test } from 'vitest';
import { createEventWriter } from '../../api/event-writer.ts';
import type { AppendedEvent } from '../../db/events.ts';
import type { EventInput } from '../../domain/events.ts';

function anEvent(id: string): EventInput {
  return { id, type: 'a.b', source: { type: 'api', id: 'x' }, severity: 'info', payload: {}, metadata: {} };
}

/** A log that writes when it is told to. */
function slowLog() {
  const groups: string[][] = [];
  const commits: (() => void)[] = [];
  const append = async (inputs: EventInput[]): Promise<AppendedEvent[]> => {
    const ids = inputs.map(({ id = '' }) => id);
    groups.push(ids);
    await new Promise<void>((resolve) => commits.push(resolve));
    if (ids.includes('bad')) throw new Error('cannot be stored');
    return ids.map((id) => ({ id, duplicate: false }));
  };
  const commit = async (): Promise<void> => {
    commits.shift()?.();
    await new Promise(setImmediate);
  };
  return { groups, commit, append };
}

describe('single events that arrive together', () => {
  test('share one insert while earlier ones are being written', async () => {
    const log = slowLog();
    const write = createEventWriter(log.append);
    const all = ['a', 'b', 'c', 'd', 'e'].map((id) => write(anEvent(id)));
    expect(log.groups).toEqual([['a'], ['b']]);
    await log.commit();
    expect(log.groups).toEqual([['a'], ['b'], ['c', 'd', 'e']]);
    await log.commit();
    await log.commit();
    expect(await Promise.all(all)).toMatchObject([
      { id: 'a' },
      { id: 'b' },
      { id: 'c' },
      { id: 'd' },
      { id: 'e' },
    ]);
  });

  test('are answered after their own commit, not before', async () => {
    const log = slowLog();
    const write = createEventWriter(log.append);
    let isAnswered = false;
    void write(anEvent('a')).then(() => (isAnswered = true));
    await new Promise(setImmediate);
    expect(isAnswered).toBe(false);
    await log.commit();
    expect(isAnswered).toBe(true);
  });

  test('are stored also when one among them cannot be', async () => {
    const log = slowLog();
    const write = createEventWriter(log.append);
    const all = ['a', 'b', 'good', 'bad', 'fine'].map((id) => write(anEvent(id)));
    const settled = Promise.allSettled(all);
    for (let times = 0; times < 6; times += 1) await log.commit();
    expect((await settled).map(({ status }) => status)).toEqual([
      ...['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
    ]);
  });
});
