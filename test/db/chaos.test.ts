import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { beforeAll, expect, test } from 'vitest';
import { change, type ChangeOutcome } from '../../db/change.ts';
import { appendEvents } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { faultInChain } from './chain.ts';

const clients = 8;
const peoplePerClient = 20;

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase(clients);
});

type Answer = { step: string };

const create = (id: string) =>
  change<Answer>(database.db, {
    opKey: `create:${id}`,
    write: sql`insert into principals (id, kind, name, role) values (${id}, 'human', ${id}, 'viewer') returning *`,
    also: [
      sql`insert into keys (id, principal_id, label, hash) select 'key:' || changed.id, changed.id, 'l', 'h' from changed`,
    ],
    events: [{ type: 'test.created', source: { type: 'system', id }, payload: { id } }],
    audit: { actor: 'test', action: 'create', subjectKind: 'principal', subjectId: id },
    result: sql`jsonb_build_object('step', 'created ' || changed.id)`,
  });

const disable = (id: string) =>
  change<Answer>(database.db, {
    opKey: `disable:${id}`,
    write: sql`update principals set status = 'disabled' where id = ${id} and status = 'active' returning *`,
    events: [{ type: 'test.disabled', source: { type: 'system', id }, payload: { id } }],
    audit: { actor: 'test', action: 'disable', subjectKind: 'principal', subjectId: id },
    result: sql`jsonb_build_object('step', 'disabled ' || changed.id)`,
  });

let kills = 0;
let attempts = 0;

/** Ends one session of the application, whatever it is doing, as a failing network or server would. */
async function killOne(): Promise<void> {
  const killed = await database.root`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and usename = 'dreamnet_app' order by random() limit 1`;
  kills += killed.length;
}

function isConnectionLoss(error: unknown): boolean {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = (cause as { code?: unknown }).code;
  return typeof code === 'string' && /^(57P01|CONNECT|ECONN|EPIPE|08)/.test(code);
}

const outOfPatience = Symbol('out of patience');

/** An activity has a time limit: an answer that does not come is a lost one. */
function patience(): Promise<typeof outOfPatience> {
  return sleep(8_000, outOfPatience, { ref: false });
}

/** What every caller does: the same operation again, under the same key, until there is an answer. */
async function untilAnswered<T>(operation: () => Promise<T>): Promise<T> {
  for (;;) {
    attempts += 1;
    const killing = attempts % 4 === 0 ? killOne() : undefined;
    try {
      const answer = await Promise.race([operation(), patience()]);
      if (answer !== outOfPatience) return answer;
    } catch (error) {
      if (!isConnectionLoss(error)) throw error;
    } finally {
      await killing;
    }
  }
}

test('with sessions killed at random no acknowledged change is lost, none is half written and none is done twice', async () => {
  const acknowledged: { id: string; answers: ChangeOutcome<Answer>[] }[] = [];
  await Promise.all(
    Array.from({ length: clients }, async () => {
      for (let index = 0; index < peoplePerClient; index += 1) {
        const id = newId('prn');
        const answers = [await untilAnswered(() => create(id)), await untilAnswered(() => disable(id))];
        acknowledged.push({ id, answers });
      }
    }),
  );
  expect(kills).toBeGreaterThan(20);

  const total = clients * peoplePerClient;
  expect(acknowledged).toHaveLength(total);
  for (const { id, answers } of acknowledged)
    expect(answers).toMatchObject([
      { result: { step: `created ${id}` } },
      { result: { step: `disabled ${id}` } },
    ]);
  const [counts] = await database.root`
    select (select count(*)::int from principals where status = 'disabled') as people,
           (select count(*)::int from principals) as everybody,
           (select count(*)::int from keys) as keys,
           (select count(*)::int from events) as events,
           (select count(*)::int from event_keys) as "eventKeys",
           (select count(*)::int from audit_entries) as audit`;
  expect(counts).toEqual({
    people: total,
    everybody: total,
    keys: total,
    events: total * 2,
    eventKeys: total * 2,
    audit: total * 2,
  });
  expect(await faultInChain(database.root)).toBeNull();
});

test('events posted while sessions die are stored once each, whole batches or not at all', async () => {
  const batches = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const done: string[][] = [];
      for (let index = 0; index < 15; index += 1) {
        const ids = Array.from({ length: 5 }, () => newId('evt'));
        const batch = ids.map((id) => ({
          id,
          type: 'test.posted',
          source: { type: 'api' as const, id: 'x' },
          severity: 'info' as const,
          payload: {},
          metadata: {},
        }));
        await untilAnswered(() => appendEvents(database.log, batch));
        done.push(ids);
      }
      return done;
    }),
  );
  const rows = await database.root<{ id: string; tx: string }[]>`
    select id, tx::text from events where type = 'test.posted'`;
  const txOf = new Map(rows.map((row) => [row.id, row.tx]));
  expect(rows).toHaveLength(txOf.size);
  for (const ids of batches.flat()) {
    const transactions = ids.map((id) => txOf.get(id));
    expect(transactions).not.toContain(undefined);
    expect(new Set(transactions).size).toBe(1);
  }
});
