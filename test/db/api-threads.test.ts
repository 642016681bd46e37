import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { appendEvents } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import type { EventInput } from '../../domain/events.ts';
import { createTestApi, keysOf, type TestApi, type Untyped } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let keys: Record<keyof People, string>;
let api: TestApi;

beforeAll(async () => {
  database = await openTestDatabase();
  keys = await keysOf(database, await createPeople(database));
});
beforeEach(() => {
  api = createTestApi(database);
});

const get = async (path: string) => api.call('GET', path, { as: keys.viewer });

/** Appends events one after the other: `b<a` is b, caused by a; `!` in front makes it an error, `~` leaves the thread out. */
async function tell(thread: string, text: string, more: Partial<EventInput> = {}): Promise<void> {
  const inputs = text.split(' ').map((word): EventInput => {
    const [name = '', cause] = word.replace(/^[!~]/, '').split('<');
    return {
      ...{ id: `${thread}.${name}`, type: `story.${name}`, source: { type: 'api', id: thread } },
      ...{ severity: word.startsWith('!') ? 'error' : 'info', payload: {}, metadata: {} },
      ...(word.startsWith('~') ? {} : { correlationId: thread }),
      ...(cause === undefined ? {} : { causationId: `${thread}.${cause}` }),
      ...more,
    };
  });
  // A millisecond of its own for each: what shares one has no order in time.
  for (const input of inputs) {
    await sleep(2);
    await appendEvents(database.log, [input]);
  }
}

const drawn = (nodes: Untyped[], thread: string): string[] =>
  nodes.map(
    ({ event, depth, link }) =>
      `${'.'.repeat(depth)}${event.id.replace(`${thread}.`, '')}${link === 'orphan' ? '?' : ''}`,
  );

describe('one thread', () => {
  test('is a tree of causes, with what it caused outside of itself and what has no cause in it', async () => {
    const id = newId('thr');
    await tell(id, 'a b<a !c<b d<a e<nowhere');
    await tell(id, '~f<c ~g<f');
    const { status, body } = await get(`/v1/threads/${id}`);
    expect(status).toBe(200);
    expect(drawn(body.nodes, id)).toEqual(['a', '.b', '..c', '...f', '....g', '.d', '.e?']);
    expect(body.thread).toMatchObject({
      ...{ correlationId: id, events: 7, errors: 1, depth: 5, isTruncated: false },
      root: { id: `${id}.a`, type: 'story.a' },
    });
    const [a, b] = body.nodes;
    expect(b.delayMs).toBe(Date.parse(b.event.recordedAt) - Date.parse(a.event.recordedAt));
    expect(b.parentId).toBe(a.event.id);
    expect(a.event).not.toHaveProperty('payload');
    expect(body.thread.durationMs).toBe(Date.parse(body.thread.lastAt) - Date.parse(body.thread.firstAt));
  });

  test('leaves out what it caused in another thread', async () => {
    const [one, other] = [newId('thr'), newId('thr')];
    await tell(one, 'a');
    await tell(other, 'x', { causationId: `${one}.a` });
    expect(drawn((await get(`/v1/threads/${one}`)).body.nodes, one)).toEqual(['a']);
    const { body } = await get(`/v1/threads/${other}`);
    expect(drawn(body.nodes, other)).toEqual(['x']);
  });

  test('whose causes go in a circle has each event once', async () => {
    const id = newId('thr');
    await tell(id, 'a<c b<a c<b');
    await tell(id, '~d<e ~e<d ~f<a');
    expect(drawn((await get(`/v1/threads/${id}`)).body.nodes, id)).toEqual(['a', '.b', '..c', '.f']);
  });

  test('of more than a thousand events shows the first thousand and says so', async () => {
    const id = newId('thr');
    const event = { type: 'long.story', source: { type: 'api' as const, id }, payload: {}, metadata: {} };
    for (const severity of ['info', 'error'] as const)
      await appendEvents(
        database.log,
        Array.from({ length: 600 }, () => ({ ...event, severity, correlationId: id })),
      );
    const { body } = await get(`/v1/threads/${id}`);
    expect(body.nodes).toHaveLength(1000);
    expect(body.thread).toMatchObject({ events: 1200, errors: 600, isTruncated: true });
  });

  test('may have any text as its id, and one that nobody named is unknown', async () => {
    const id = `a/b c?é ${newId('thr')}`;
    await tell(id, 'a');
    expect((await get(`/v1/threads/${encodeURIComponent(id)}`)).body.thread.correlationId).toBe(id);
    expect(await get('/v1/threads/nobody')).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
    expect((await get('/v1/threads/%00')).status).toBe(404);
  });
});

describe('the list of threads', () => {
  const listed = async (query: string): Promise<Untyped[]> => {
    const { body, status } = await get(`/v1/threads?${query}`);
    expect(status).toBe(200);
    return body.items;
  };
  const idsOf = (items: Untyped[]): string[] => items.map(({ correlationId }) => correlationId);

  test('has the one with the newest event first, each as a whole', async () => {
    const [one, two] = [newId('thr'), newId('thr')];
    await tell(one, 'a b<a');
    await tell(two, '!x y<x z<y');
    await tell(one, '!c<b');
    const items = await listed('limit=2');
    expect(idsOf(items)).toEqual([one, two]);
    expect(items[0]).toMatchObject({ events: 3, errors: 1, depth: 3, root: { type: 'story.a' } });
    expect(items[1]).toMatchObject({ events: 3, errors: 1, depth: 3, root: { type: 'story.x' } });
    const { body } = await get(`/v1/threads/${one}`);
    expect(items[0]).toEqual(body.thread);
  });

  test('is filtered by what its events are', async () => {
    const [calm, bad, other] = [newId('thr'), newId('thr'), newId('thr')];
    await tell(calm, 'one two<one');
    await tell(bad, 'one !three<one four<three');
    await tell(other, 'five', { source: { type: 'graft', id: 'g-filter' } });
    const mine = async (query: string) =>
      idsOf(await listed(`limit=100&${query}`)).filter((id) => [calm, bad, other].includes(id));
    expect(await mine('type=story.three')).toEqual([bad]);
    expect(await mine('type=story.t*')).toEqual([bad, calm]);
    expect(await mine('minSeverity=error')).toEqual([bad]);
    expect(await mine('sourceType=graft&sourceId=g-filter')).toEqual([other]);
    expect(await mine('minEvents=3')).toEqual([bad]);
    expect(
      await mine(
        `from=${new Date(Date.now() + 60_000).toISOString()}&to=${new Date(Date.now() + 120_000).toISOString()}`,
      ),
    ).toEqual([]);
  });

  test('in pages is one look, whatever comes meanwhile', async () => {
    const ids = Array.from({ length: 7 }, () => newId('thr'));
    const source = { type: 'graft' as const, id: newId('pages') };
    for (const id of ids) await tell(id, 'a', { source });
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const more = cursor === null ? '' : `&cursor=${cursor}`;
      const { body }: { body: Untyped } = await get(`/v1/threads?limit=3&sourceId=${source.id}${more}`);
      seen.push(...idsOf(body.items));
      cursor = body.nextCursor;
      const [first] = ids;
      if (seen.length === 3) await new Promise((resolve) => setTimeout(resolve, 5));
      if (seen.length === 3) await tell(first ?? '', 'b', { source });
    } while (cursor !== null);
    expect(seen).toEqual([...ids].reverse());
  });

  test.each([
    ['from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', 'before'],
    ['from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z', '31 days'],
    ['cursor=abc', 'cursor'],
    ['limit=101', 'limit'],
    ['colour=red', ''],
  ])('refuses %s', async (query, word) => {
    const { status, body } = await get(`/v1/threads?${query}`);
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'INVALID' });
    expect(body.detail).toContain(word);
  });
});

describe('the chain of an event', () => {
  test('has what led to it, the first cause first, and what it led to, over threads', async () => {
    const [one, two] = [newId('thr'), newId('thr')];
    await tell(one, 'a b<a c<b');
    await tell(one, '~d<c x<a');
    await tell(two, 'far', { causationId: `${one}.d` });
    const { body } = await get(`/v1/events/${one}.c/chain`);
    expect(body.ancestors.map(({ id }: { id: string }) => id)).toEqual([`${one}.a`, `${one}.b`]);
    expect(drawn(body.nodes, one)).toEqual(['c', '.d', `..${two}.far`]);
    expect(body).toMatchObject({ missingCauseId: null, isTruncated: false });
  });

  test('names the cause that the log does not have', async () => {
    const id = newId('thr');
    await tell(id, 'b<gone c<b');
    expect((await get(`/v1/events/${id}.c/chain`)).body).toMatchObject({
      missingCauseId: `${id}.gone`,
      ancestors: [{ id: `${id}.b` }],
    });
  });

  test('ends where causes go in a circle', async () => {
    const id = newId('thr');
    await tell(id, 'a<c b<a c<b');
    const { body } = await get(`/v1/events/${id}.b/chain`);
    expect(body.ancestors.map((event: { id: string }) => event.id)).toEqual([`${id}.c`, `${id}.a`]);
    expect(drawn(body.nodes, id)).toEqual(['b', '.c', '..a']);
    expect(body.missingCauseId).toBeNull();
  });

  test('longer than a hundred causes or a thousand effects is cut, and says so', async () => {
    const id = newId('thr');
    const event = { type: 'long.chain', source: { type: 'api' as const, id }, severity: 'info' as const };
    const more = (number: number) => ({
      ...{ ...event, id: `${id}.${number}`, payload: {}, metadata: {} },
      ...(number === 0 ? {} : { causationId: `${id}.${number - 1}` }),
    });
    await appendEvents(
      database.log,
      Array.from({ length: 1000 }, (_, number) => more(number)),
    );
    await appendEvents(
      database.log,
      Array.from({ length: 200 }, (_, number) => more(1000 + number)),
    );
    const late = (await get(`/v1/events/${id}.1199/chain`)).body;
    expect(late.ancestors).toHaveLength(100);
    expect(late.ancestors.at(-1).id).toBe(`${id}.1198`);
    expect(late).toMatchObject({ isTruncated: true, missingCauseId: null });
    const early = (await get(`/v1/events/${id}.0/chain`)).body;
    expect(early.nodes).toHaveLength(1000);
    expect(early.isTruncated).toBe(true);
    const middle = (await get(`/v1/events/${id}.300/chain`)).body;
    expect(middle.nodes).toHaveLength(900);
  });

  test('of an event that is not there is unknown', async () => {
    expect((await get('/v1/events/evt_nobody/chain')).status).toBe(404);
    expect((await api.call('GET', '/v1/events/evt_nobody/chain', { as: keys.agent })).status).toBe(403);
  });
});
