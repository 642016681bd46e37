import { beforeAll, describe, expect, test } from 'vitest';
import {
  agentSnapshots,
  beat,
  configureAgent,
  findAgentByPrincipal,
  getAgent,
  listAgents,
  listCandidates,
  markSilentAgents,
  registerAgent,
  setAgentState,
} from '../../db/agents.ts';
import { newId } from '../../db/ids.ts';
import { silentAfterMs } from '../../domain/analyzers/agent-health.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent } from '../support/factories.ts';

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
});

const stateOf = async (id: string) => (await getAgent(database.db, id))?.state;
const setState = (id: string, state: Parameters<typeof setAgentState>[1]['state']) =>
  setAgentState(database.db, { id, state, actor: people.admin, opKey: newId('op') });

/** As if the agent had been silent for five minutes. */
async function silence(id: string): Promise<void> {
  await database.root`update agents set last_seen_at = now() - interval '5 minutes 1 second' where id = ${id}`;
}

async function statusEvents(id: string): Promise<unknown[]> {
  const rows = await database.root`
    select payload->>'state' as state from events where source_id = ${id} and type = 'agent.status'
    order by events.tx, events.seq`;
  return rows.map((row) => row.state as unknown);
}

describe('registering', () => {
  test('a name is taken once', async () => {
    const id = await anAgent(database, people);
    const row = await getAgent(database.db, id);
    expect(row).toMatchObject({ state: 'registered', configVersion: 1, lastSeenAt: null });
    const again = { ...row, id: newId('agt') } as Parameters<typeof registerAgent>[1];
    const { name, role, capabilities, executor, config, principalId, owner } = again;
    const input = { id: again.id, name, role, capabilities, executor, config, principalId, owner };
    expect(await registerAgent(database.db, { ...input, actor: people.admin, opKey: newId('op') })).toEqual({
      status: 'unchanged',
    });
    expect(await getAgent(database.db, again.id)).toBeNull();
  });

  test('it is found by the principal whose key it uses', async () => {
    const own = await createPeople({ ...database });
    const id = await anAgent(database, own);
    expect(await findAgentByPrincipal(database.db, own.agent)).toMatchObject({ id });
    expect(await findAgentByPrincipal(database.db, own.viewer)).toBeNull();
  });

  test('pages of agents show each once', async () => {
    const seen: string[] = [];
    for (let after = ''; ;) {
      const page = await listAgents(database.db, after, 1);
      const [row] = page;
      if (row === undefined) break;
      seen.push(row.id);
      after = row.id;
    }
    expect(seen).toEqual([...new Set(seen)].sort());
    expect(seen.length).toBeGreaterThanOrEqual(2);
  });
});

describe('configuration', () => {
  test('each change is a new version, and of two at once one counts', async () => {
    const id = await anAgent(database, people);
    const configure = (taskQueue: string) =>
      configureAgent(database.db, {
        id,
        expectedVersion: 1,
        config: { taskQueue },
        actor: people.admin,
        opKey: newId('op'),
      });
    const outcomes = await Promise.all([configure('a'), configure('b')]);
    expect(outcomes.filter((outcome) => outcome.status === 'changed')).toHaveLength(1);
    expect(await getAgent(database.db, id)).toMatchObject({ configVersion: 2 });
  });
});

describe('signs of life', () => {
  test('the first makes a registered agent online, further ones only move its time', async () => {
    const id = await anAgent(database, people);
    expect(await beat(database.db, id, newId('op'))).toBe(true);
    expect(await stateOf(id)).toBe('online');
    await silence(id);
    expect(await beat(database.db, id, newId('op'))).toBe(true);
    expect(await statusEvents(id)).toEqual(['online']);
    expect(await markSilentAgents(database.db, newId('op'))).toBe(0);
  });

  test.each(['busy', 'draining'] as const)('one that is %s stays so', async (state) => {
    const id = await anAgent(database, people);
    await setState(id, state);
    await beat(database.db, id, newId('op'));
    expect(await stateOf(id)).toBe(state);
  });

  test('of a disabled or unknown agent do not count', async () => {
    const id = await anAgent(database, people);
    await setState(id, 'disabled');
    expect(await beat(database.db, id, newId('op'))).toBe(false);
    expect(await beat(database.db, 'agt_none', newId('op'))).toBe(false);
    expect(await stateOf(id)).toBe('disabled');
    expect((await listCandidates(database.db)).map((agent) => agent.id)).not.toContain(id);
  });

  test('an online agent silent for five minutes is marked offline once, and comes back by its next sign', async () => {
    const id = await anAgent(database, people);
    await beat(database.db, id, newId('op'));
    await silence(id);
    expect(await markSilentAgents(database.db, newId('op'))).toBe(1);
    expect(await markSilentAgents(database.db, newId('op'))).toBe(0);
    expect(await stateOf(id)).toBe('offline');
    await beat(database.db, id, newId('op'));
    expect(await statusEvents(id)).toEqual(['online', 'offline', 'online']);
  });

  test('agents without a process of their own are not expected to give any', async () => {
    const id = await anAgent(database, people, { executor: 'http', config: { url: 'http://agent/' } });
    await setState(id, 'online');
    await silence(id);
    expect(await markSilentAgents(database.db, newId('op'))).toBe(0);
    const snapshot = (await agentSnapshots(database.db)).find((agent) => agent.agentId === id);
    expect(snapshot).toMatchObject({ beats: false, state: 'online' });
    expect(snapshot?.silentForMs).toBeGreaterThanOrEqual(silentAfterMs);
  });

  test('the state an agent already has is no change', async () => {
    const id = await anAgent(database, people);
    expect(await setState(id, 'online')).toMatchObject({ status: 'changed', result: { state: 'online' } });
    expect(await setState(id, 'online')).toEqual({ status: 'unchanged' });
  });
});
