import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { beginCycle, recordIssues } from '../../db/halo.ts';
import { newId } from '../../db/ids.ts';
import { probeDependencies, setProbeDependencies } from '../../db/probe-dependencies.ts';
import { circleOf } from '../../domain/probe-dependencies.ts';
import { createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anIssue } from '../support/halo-record.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
});
beforeEach(() => {
  api = createTestApi(database);
});

const make = (name: string, dependsOn: string[] = []) =>
  api.call('POST', '/v1/probes', { as: keys.operator, body: { name, url: 'https://a/', dependsOn } });
async function aProbe(dependsOn: string[] = []): Promise<string> {
  return (await make(newId('name'), dependsOn)).body.id;
}
const edit = (id: string, dependsOn: unknown) =>
  api.call('PATCH', `/v1/probes/${id}`, { as: keys.operator, body: { dependsOn } });
const shown = async (id: string) =>
  (await api.call('GET', `/v1/probes/${id}`, { as: keys.viewer })).body.dependsOn;

describe('what a probe depends on', () => {
  test('is named by id or name, once each, when it is made and later', async () => {
    const [name, other] = [newId('name'), await aProbe()];
    const { id: first } = (await make(name)).body;
    const made = await make(newId('name'), [name, first, other]);
    expect(made).toMatchObject({ status: 201, body: { dependsOn: [first, other] } });
    expect(await edit(made.body.id, [name])).toMatchObject({ status: 200, body: { dependsOn: [first] } });
    expect(await edit(made.body.id, [])).toMatchObject({ status: 200, body: { dependsOn: [] } });
  });

  test('is in the audit, once for each change', async () => {
    const [db, web] = [await aProbe(), await aProbe()];
    await edit(web, [db]);
    await edit(web, [db]);
    const rows = await database.root<{ actor: string; body: string }[]>`
      select actor, body from audit_entries where subject_id = ${web} and action = 'probe.edit'`;
    expect(rows).toHaveLength(1);
    expect(rows[0]?.actor).toBe(people.operator);
    expect(rows[0]?.body).toContain(db);
  });

  test.each([[['nobody']], [Array.from({ length: 21 }, () => 'x')], ['shop'], [[7]], [['']], [undefined]])(
    'is refused as %j, and nothing is stored',
    async (dependsOn) => {
      const [db, web] = [await aProbe(), await aProbe()];
      await edit(web, [db]);
      expect(await edit(web, dependsOn)).toMatchObject({ status: 400 });
      expect(await shown(web)).toEqual([db]);
      const name = newId('name');
      expect(await make(name, ['nobody'])).toMatchObject({ status: 400 });
      expect(await database.root`select 1 as one from probes where name = ${name}`).toHaveLength(0);
    },
  );

  test('is refused where it closes a circle, and the way is told', async () => {
    const db = await aProbe();
    const cache = await aProbe([db]);
    const web = await aProbe([cache]);
    const refused = await edit(db, [web]);
    expect(refused.status).toBe(409);
    expect(refused.body.detail).toContain(`${db} -> ${web} -> ${cache} -> ${db}`);
    expect(await edit(db, [db])).toMatchObject({ status: 409 });
    expect(await shown(db)).toEqual([]);
  });

  test('is no circle either when each of many changes at once is right by itself', async () => {
    const ids = await Promise.all(Array.from({ length: 6 }, () => aProbe()));
    await Promise.all(
      ids.map((id, index) =>
        setProbeDependencies(database.db, {
          ...{ id, dependsOn: [ids[(index + 1) % ids.length] ?? ''] },
          ...{ actor: people.admin, opKey: newId('op') },
        }),
      ),
    );
    const known = await probeDependencies(database.db);
    for (const id of ids) expect(circleOf(id, known.get(id) ?? [], known)).toBeNull();
    expect(ids.filter((id) => known.has(id))).toHaveLength(5);
  });

  test('that changes leaves when the newest result came as it was', async () => {
    const [db, web] = [await aProbe(), await aProbe()];
    const when = () => database.root`select updated_at from probes where id = ${web}`;
    const before = await when();
    await edit(web, [db]);
    expect(await when()).toEqual(before);
  });
});

test('a cycle shows its issues with the figures and the events that show them', async () => {
  const cycleId = newId('cyc');
  await beginCycle(database.db, {
    ...{ cycleId, mode: 'full', trigger: {}, workflowId: `halo-cycle/${cycleId}`, runId: 'run-1' },
  });
  const issue = anIssue({ evidence: ['evt_9', 'evt_8'], observed: { normal: 0.01, now: 1, score: 9.5 } });
  await recordIssues(database.db, { cycleId, issues: [issue], weakPoints: [] });
  const { body } = await api.call('GET', `/v1/halo/cycles/${cycleId}`, { as: keys.viewer });
  expect(body.issues).toMatchObject([
    { evidence: ['evt_9', 'evt_8'], observed: { normal: 0.01, now: 1, score: 9.5 } },
  ]);
});
