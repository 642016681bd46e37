import { beforeAll, expect, test, vi } from 'vitest';
import { createWormholesHandler } from '../../activities/wormholes.ts';
import { createSecretBox } from '../../db/sealed.ts';
import type * as Results from '../../db/wormhole-results.ts';
import type { Delivery } from '../../domain/delivery.ts';
import type { WormholeRow } from '../../db/wormholes.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aLoggedEvent } from '../support/events.ts';
import { aDelivery, aWormhole } from '../support/wormholes.ts';

const around = vi.hoisted(() => ({ before: () => Promise.resolve(), after: () => Promise.resolve() }));
const quiet = () => Promise.resolve();

/** What another consumer does next to the reading of a count, as nothing but this moment decides who is first. */
vi.mock('../../db/wormhole-results.ts', async (original) => {
  const real = await original<typeof Results>();
  return {
    ...real,
    async readWindow(...asked: Parameters<typeof real.readWindow>) {
      const { before, after } = around;
      Object.assign(around, { before: quiet, after: quiet });
      await before();
      const stored = await real.readWindow(...asked);
      await after();
      return stored;
    },
  };
});

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
});

async function deliver(...deliveries: Delivery[]): Promise<void> {
  const handler = createWormholesHandler({
    ...{ database, agentRoot: 'root', log: { warn: () => undefined } },
    secretBox: createSecretBox('a secret box key that only tests use, long enough'),
    runs: { triggerHalo: quiet, startTask: quiet },
  });
  const context = { subscription: 'wormholes', config: {}, signal: new AbortController().signal };
  expect(await handler.deliver(deliveries, context)).toEqual({ failures: [], later: [] });
}

const emittedOf = (row: WormholeRow) =>
  database.root`select payload from events where source_id = ${`wormhole:${row.name}`}`;

test.each(['before', 'after'] as const)(
  'an event that another consumer counts just %s the count is read counts once',
  async (when) => {
    const row = await aWormhole(database, people.admin, {
      ...{ kind: 'aggregate', count: 3, windowSeconds: 60 },
      emit: { type: 'shop.many-failures', severity: 'critical' },
    });
    const [first, second, third] = [1, 2, 3].map(() => aDelivery(aLoggedEvent({ type: `shop.${row.id}` })));
    if (first === undefined || second === undefined || third === undefined) throw new Error('no events');
    around[when] = () => deliver(first);
    await deliver(first);
    await deliver(second);
    expect(await emittedOf(row)).toEqual([]);
    await deliver(third);
    expect(await emittedOf(row)).toMatchObject([{ payload: { count: 3 } }]);
  },
);
