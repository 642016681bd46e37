import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { arrangeThread, type Link } from '../../domain/thread.ts';

/** Events by their causes, recorded a second apart: `b<a` is b, caused by a. */
function events(text: string): Link[] {
  return text.split(' ').map((word, second) => {
    const [id = '', causationId = null] = word.split('<');
    return { id, causationId, at: new Date(second * 1000) };
  });
}

const drawn = (text: string, rootId?: string): string[] =>
  arrangeThread(events(text), rootId).nodes.map(
    ({ event, depth, link, delayMs }) =>
      `${'.'.repeat(depth)}${event.id}${link === 'orphan' ? '?' : ''}${delayMs === null ? '' : ` +${delayMs / 1000}`}`,
  );

describe('the tree of a thread', () => {
  test.each([
    ['one event', 'a', ['a'], 1],
    ['a chain', 'a b<a c<b', ['a', '.b +1', '..c +1'], 3],
    ['siblings in the order of the log', 'a b<a c<a d<b', ['a', '.b +1', '..d +2', '.c +2'], 3],
    ['orphans under the root', 'a b c<gone d<c', ['a', '.b?', '.c?', '..d +1'], 2],
    ['an effect that was recorded before its cause', 'b<a a', ['a', '.b +-1'], 2],
    ['an event that names itself', 'a<a b<a', ['a', '.b +1'], 2],
    ['a circle, cut at its first event', 'a<c b<a c<b', ['a', '.b +1', '..c +1'], 3],
    ['a circle beside the root', 'r a<b b<a', ['r', '.a?', '..b +1'], 2],
  ])('%s', (_what, text, expected, depth) => {
    expect(drawn(text)).toEqual(expected);
    expect(arrangeThread(events(text)).depth).toBe(depth);
  });

  test('begins at the event that is named, also inside a circle', () => {
    expect(drawn('a<c b<a c<b', 'b')).toEqual(['b', '.c +1', '..a +-2']);
  });

  test('of nothing is empty', () => {
    expect(arrangeThread([])).toEqual({ nodes: [], depth: 0 });
  });

  test('of a chain of ten thousand is as deep as that', () => {
    const chain = Array.from({ length: 10_000 }, (_, at) => ({
      ...{ id: String(at), causationId: at === 0 ? null : String(at - 1), at: new Date(at) },
    }));
    expect(arrangeThread(chain).depth).toBe(10_000);
  });

  test('has every event once, below its parent, whatever the causes are', () => {
    const links = fc
      .array(fc.option(fc.nat({ max: 25 }), { nil: null }), { minLength: 1, maxLength: 25 })
      .map((causes) =>
        causes.map((cause, at) => ({
          ...{ id: String(at), causationId: cause === null ? null : String(cause), at: new Date(at) },
        })),
      );
    fc.assert(
      fc.property(links, (all) => {
        const { nodes, depth } = arrangeThread(all);
        expect(nodes.map(({ event }) => event.id).sort()).toEqual(all.map(({ id }) => id).sort());
        expect(nodes.filter(({ link }) => link === 'root')).toHaveLength(1);
        const depths = new Map<string, number>();
        for (const { event, parentId, depth: level, link } of nodes) {
          expect(level).toBe(parentId === null ? 0 : (depths.get(parentId) ?? Number.NaN) + 1);
          if (link === 'caused') expect(event.causationId).toBe(parentId);
          depths.set(event.id, level);
        }
        expect(depth).toBeGreaterThanOrEqual(1);
        expect(depth).toBeLessThanOrEqual(all.length);
      }),
    );
  });
});
