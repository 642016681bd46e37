import { sql } from 'drizzle-orm';
import { beforeAll, describe, expect, test } from 'vitest';
import { findAuditDetail } from '../../db/audit.ts';
import { auditRefusal, change, type Change, fromNow } from '../../db/change.ts';
import { newId } from '../../db/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { chainHead, faultInChain } from './chain.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase(20);
});

type Answer = { id: string; name: string };

/** A person comes into being: a change like any other. */
function creation(id: string, given: Partial<Change> = {}): Change {
  return {
    opKey: `create:${id}`,
    write: sql`
      insert into principals (id, kind, name, role) values (${id}, 'human', ${id}, 'viewer')
      on conflict do nothing returning *`,
    events: [
      { type: 'test.first', source: { type: 'system', id }, payload: { id }, severity: 'error' },
      {
        type: 'test.second',
        source: { type: 'system', id },
        payload: {},
        correlationId: id,
        causationId: 'x',
      },
    ],
    audit: { actor: 'test', action: 'test.create', subjectKind: 'principal', subjectId: id, detail: { id } },
    result: sql`jsonb_build_object('id', changed.id, 'name', changed.name)`,
    ...given,
  };
}

function renaming(id: string, opKey: string, name = newId('name')): Change {
  return {
    opKey,
    write: sql`update principals set name = ${name} where id = ${id} and name = ${id} returning *`,
    audit: { actor: 'test', action: 'test.rename', subjectKind: 'principal', subjectId: id },
    result: sql`jsonb_build_object('id', changed.id, 'name', changed.name)`,
  };
}

async function sizes(): Promise<Record<string, number>> {
  const [row] = await database.root<Record<string, number>[]>`
    select (select count(*)::int from principals) as principals, (select count(*)::int from events) as events,
           (select count(*)::int from event_keys) as keys, (select count(*)::int from audit_entries) as audit,
           (select chain_no::int from audit_head) as head`;
  return { ...row };
}

describe('one change', () => {
  test('row, events and audit entry come from one transaction', async () => {
    const id = newId('prn');
    expect(await change<Answer>(database.db, creation(id))).toEqual({
      status: 'changed',
      result: { id, name: id },
    });
    const rows = await database.root<{ xmin: string }[]>`
      select xmin::text from principals where id = ${id}
      union all select xmin::text from events where source_id = ${id}
      union all select tx::text from events where source_id = ${id}
      union all select xmin::text from audit_entries where subject_id = ${id}`;
    expect(rows).toHaveLength(6);
    expect(new Set(rows.map((row) => row.xmin)).size).toBe(1);
  });

  test('its events are stated in order, with severity, priority and what caused them', async () => {
    const id = newId('prn');
    await change(database.db, creation(id));
    const rows = await database.root`
      select type, category, severity, priority, correlation_id, causation_id, payload
      from events where source_id = ${id} order by tx, seq`;
    expect([...rows]).toEqual([
      {
        type: 'test.first',
        category: 'test',
        severity: 'error',
        priority: 'high',
        correlation_id: null,
        causation_id: null,
        payload: { id },
      },
      {
        type: 'test.second',
        category: 'test',
        severity: 'info',
        priority: 'normal',
        correlation_id: id,
        causation_id: 'x',
        payload: {},
      },
    ]);
  });

  test('many events of one change keep their order in the log', async () => {
    const id = newId('prn');
    const types = Array.from({ length: 60 }, (_, index) => `test.n${index}`);
    const source = { type: 'system' as const, id };
    await change(database.db, creation(id, { events: types.map((type) => ({ type, source, payload: {} })) }));
    const rows = await database.root`select type from events where source_id = ${id} order by tx, seq`;
    expect(rows.map((row) => row.type as string)).toEqual(types);
  });

  test('the audit holds who did what, and what was answered', async () => {
    const id = newId('prn');
    await change(database.db, creation(id));
    const [entry] = await database.root`
      select actor, action, outcome, subject_kind, subject_id, body, result from audit_entries
      where op_key = ${`create:${id}`}`;
    expect(entry).toMatchObject({
      actor: 'test',
      action: 'test.create',
      outcome: 'ok',
      subject_kind: 'principal',
      subject_id: id,
    });
    expect(entry?.body).toBe(
      JSON.stringify({
        action: 'test.create',
        actor: 'test',
        detail: { id },
        opKey: `create:${id}`,
        outcome: 'ok',
        subjectId: id,
        subjectKind: 'principal',
      }),
    );
    expect(JSON.parse(String(entry?.result))).toEqual({ id, name: id });
    expect(await findAuditDetail(database.db, `create:${id}`)).toEqual({ id });
    expect(await findAuditDetail(database.db, 'never')).toBeNull();
  });

  test('a row that is not in the expected state is left alone, and nothing is written', async () => {
    const id = newId('prn');
    await change(database.db, creation(id));
    const before = await sizes();
    expect(await change(database.db, creation(id, { opKey: newId('op') }))).toEqual({ status: 'unchanged' });
    expect(await change(database.db, renaming('prn_nobody', newId('op')))).toEqual({ status: 'unchanged' });
    expect(await sizes()).toEqual(before);
  });

  test('without events and without an answer it is still audited', async () => {
    const id = newId('prn');
    await change(database.db, creation(id));
    const { result: _left, ...silent } = renaming(id, newId('op'));
    expect(await change(database.db, silent)).toEqual({ status: 'changed', result: {} });
  });

  test('hostile text is stored as text', async () => {
    const id = `prn_'; drop table tasks; -- \\ " 😀 ${newId('x')}`;
    const detail = { "k'ey": ['\\', '\u2028', '%s $1'] };
    await change(
      database.db,
      creation(id, { audit: { actor: 'a', action: 'b', subjectKind: 'c', subjectId: id, detail } }),
    );
    expect(await findAuditDetail(database.db, `create:${id}`)).toEqual(detail);
    expect(await database.root`select name from principals where id = ${id}`).toEqual([{ name: id }]);
  });

  test('a moment from now is counted by the clock of the database', async () => {
    const [row] = await database.db.execute(
      sql`select extract(epoch from ${fromNow(90_500)} - now())::float8 as left`,
    );
    expect(row?.left).toBe(90.5);
  });
});

describe('a repetition', () => {
  test('of the same operation is answered with the first answer, whatever happened since', async () => {
    const id = newId('prn');
    const first = await change<Answer>(database.db, creation(id));
    const rename = renaming(id, newId('op'), `first-${id}`);
    const renamed = await change<Answer>(database.db, rename);
    await database.root`update principals set name = ${`later-${id}`} where id = ${id}`;
    const before = await sizes();
    expect(await change(database.db, creation(id))).toEqual({ ...first, status: 'repeated' });
    expect(await change(database.db, rename)).toEqual({ ...renamed, status: 'repeated' });
    expect(await sizes()).toEqual(before);
  });

  test('that would find its row changeable again changes nothing', async () => {
    const id = newId('prn');
    await change(database.db, creation(id));
    const rename = renaming(id, newId('op'), `new-${id}`);
    await change(database.db, rename);
    await database.root`update principals set name = ${id} where id = ${id}`;
    expect(await change(database.db, rename)).toMatchObject({
      status: 'repeated',
      result: { name: `new-${id}` },
    });
    expect(await database.root`select name from principals where id = ${id}`).toEqual([{ name: id }]);
  });

  test.each([
    ['an insert', false],
    ['a conditional update', true],
  ])('of %s, sixteen at once: one does it and all get its answer', async (_what, isUpdate) => {
    for (let round = 0; round < 5; round += 1) {
      const id = newId('prn');
      if (isUpdate) await change(database.db, creation(id));
      const spec = isUpdate ? renaming(id, newId('op'), `new-${id}`) : creation(id);
      const answers = await Promise.all(Array.from({ length: 16 }, () => change<Answer>(database.db, spec)));
      expect(answers.filter((answer) => answer.status === 'changed')).toHaveLength(1);
      expect(answers.filter((answer) => answer.status === 'repeated')).toHaveLength(15);
      const name = isUpdate ? `new-${id}` : id;
      for (const answer of answers) expect(answer).toMatchObject({ result: { id, name } });
      expect(
        await database.root`select 1 as one from audit_entries where op_key = ${spec.opKey}`,
      ).toHaveLength(1);
    }
  });

  test('of sixteen different operations on one row at once, one wins and the others change nothing', async () => {
    const id = newId('prn');
    await change(database.db, creation(id));
    const answers = await Promise.all(
      Array.from({ length: 16 }, () => change<Answer>(database.db, renaming(id, newId('op')))),
    );
    expect(answers.filter((answer) => answer.status === 'changed')).toHaveLength(1);
    expect(answers.filter((answer) => answer.status === 'unchanged')).toHaveLength(15);
  });
});

describe('a deadlock', () => {
  test('of two changes that lock the same rows in another order ends with both done', async () => {
    const [left, right] = [newId('prn'), newId('prn')];
    await change(database.db, creation(left));
    await change(database.db, creation(right));
    const both = (first: string, second: string) =>
      change(database.db, {
        opKey: newId('op'),
        write: sql`update principals set status = 'disabled' where id = ${first} returning *, pg_sleep(0.05)`,
        also: [sql`update principals set role = 'admin' from changed where principals.id = ${second}`],
        audit: { actor: 'test', action: 'test.both', subjectKind: 'principal', subjectId: first },
      });
    const answers = await Promise.all([both(left, right), both(right, left)]);
    expect(answers.map((answer) => answer.status)).toEqual(['changed', 'changed']);
    expect(await faultInChain(database.root)).toBeNull();
  });
});

describe('an error inside', () => {
  test.each<[string, Partial<Change>]>([
    [
      'another row of the change',
      {
        also: [
          sql`insert into task_logs (task_id, attempt, level, message) select 'none', 1, 'info', 'x' from changed`,
        ],
      },
    ],
    ['the answer', { result: sql`jsonb_build_object('x', 1 / (length(changed.id) - length(changed.id)))` }],
    [
      'an event',
      { events: [{ type: 'test.bad', source: { type: 'system', id: 'x' }, payload: { text: 'a\0b' } }] },
    ],
    [
      'the write',
      {
        write: sql`insert into principals (id, kind, name, role) values ('prn_x', 'human', null, 'viewer') returning *`,
      },
    ],
    ['the audit entry', { audit: { actor: 'a\0', action: 'b', subjectKind: 'c', subjectId: 'd' } }],
  ])('%s leaves nothing behind, and the chain goes on', async (_where, broken) => {
    const id = newId('prn');
    const before = await sizes();
    await expect(change(database.db, creation(id, broken))).rejects.toThrow();
    expect(await sizes()).toEqual(before);
    expect(await change(database.db, creation(id))).toMatchObject({ status: 'changed' });
    expect(await sizes()).toMatchObject({ head: (before.head ?? 0) + 1 });
  });

  test('all parts of a change that succeed stand together', async () => {
    const id = newId('prn');
    const key = sql`insert into keys (id, principal_id, label, hash) select ${id}, changed.id, 'l', 'h' from changed`;
    await change(database.db, creation(id, { also: [key] }));
    expect(await database.root`select label from keys where principal_id = ${id}`).toHaveLength(1);
  });
});

describe('the audit chain', () => {
  test('has no gap under concurrency, failures, refusals and repetitions, and every hash can be computed again', async () => {
    const work = Array.from({ length: 120 }, (_, index) => {
      const id = newId('prn');
      if (index % 5 === 0)
        return change(
          database.db,
          creation(id, { result: sql`to_jsonb(1 / (length(changed.id) - length(changed.id)))` }),
        );
      if (index % 5 === 1)
        return auditRefusal(
          database.db,
          `no:${index % 10}`,
          { actor: 'a', action: 'b', subjectKind: 'c', subjectId: id },
          refuse('CONFLICT', 'no'),
        );
      if (index % 5 === 2) return change(database.db, { ...creation(id), opKey: `same:${index % 10}` });
      return change(database.db, creation(id));
    });
    const results = await Promise.allSettled(work);
    expect(results.filter((result) => result.status === 'rejected')).toHaveLength(24);
    expect(await faultInChain(database.root)).toBeNull();
  });

  test('a refusal is on it once, with its code', async () => {
    const opKey = newId('op');
    const audit = { actor: 'prn_1', action: 'task.dispatch', subjectKind: 'task', subjectId: 'tsk_1' };
    const refusals = Array.from({ length: 4 }, () =>
      auditRefusal(database.db, opKey, { ...audit, detail: { a: 1 } }, refuse('LIMIT', 'too often')),
    );
    await Promise.all(refusals);
    const rows = await database.root`select outcome, body from audit_entries where op_key = ${opKey}`;
    expect(rows).toHaveLength(1);
    expect(rows[0]?.outcome).toBe('refused');
    expect(JSON.parse(String(rows[0]?.body))).toMatchObject({
      outcome: 'refused',
      detail: { a: 1, code: 'LIMIT', message: 'too often' },
    });
  });

  test('whoever writes an entry cannot choose its place, its time or its hash', async () => {
    const opKey = newId('op');
    await database.log`
      insert into audit_entries (chain_no, at, actor, action, subject_kind, subject_id, outcome, op_key, body, result,
                                 prev_hash, hash)
      values (1, '2000-01-01', 'a', 'b', 'c', 'd', 'ok', ${opKey}, '{}', '{}', 'x', 'y')`;
    const [row] =
      await database.root`select at > now() - interval '1 hour' as fresh from audit_entries where op_key = ${opKey}`;
    expect(row?.fresh).toBe(true);
    expect(await faultInChain(database.root)).toBeNull();
  });
});

describe('tampering', () => {
  beforeAll(async () => {
    for (let index = 0; index < 12; index += 1) await change(database.db, creation(newId('prn')));
  });

  test.each<[string, string[], RegExp]>([
    [
      'an altered statement',
      [`update audit_entries set body = replace(body, 'test', 'best') where chain_no = 5`],
      /entry 5 was altered/,
    ],
    [
      'an altered answer',
      [`update audit_entries set result = '{"ok":true}' where chain_no = 6`],
      /entry 6 was altered/,
    ],
    [
      'an altered time',
      [`update audit_entries set at = at + interval '1 second' where chain_no = 7`],
      /entry 7 was altered/,
    ],
    ['an entry taken out', [`delete from audit_entries where chain_no = 4`], /a gap before 5/],
    [
      'an entry taken out and the rest moved up',
      [
        `delete from audit_entries where chain_no = 4`,
        `update audit_entries set chain_no = -(chain_no - 1) where chain_no > 4`,
        `update audit_entries set chain_no = -chain_no where chain_no < 0`,
      ],
      /entry 4 does not follow/,
    ],
    [
      'two swapped entries',
      [
        `update audit_entries set chain_no = -chain_no where chain_no in (2, 3)`,
        `update audit_entries set chain_no = 5 + chain_no where chain_no < 0`,
      ],
      /entry 2/,
    ],
    ['the end cut off', [`delete from audit_entries where chain_no > 8`], /the end is missing/],
    [
      'the end cut off and the head moved back',
      [
        `delete from audit_entries where chain_no > 8`,
        `update audit_head set chain_no = 8, hash = (select hash from audit_entries where chain_no = 8)`,
      ],
      /the end is missing/,
    ],
  ])('%s is found', async (_what, statements, fault) => {
    const session = await database.root.reserve();
    try {
      // The head as somebody outside the database keeps it.
      const head = await chainHead(session);
      await session.unsafe('begin');
      await session.unsafe("set local session_replication_role = 'replica'");
      for (const statement of statements) await session.unsafe(statement);
      expect(await faultInChain(session, head)).toMatch(fault);
      await session.unsafe('rollback');
    } finally {
      session.release();
    }
    expect(await faultInChain(database.root)).toBeNull();
  });
});
