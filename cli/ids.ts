import { usage } from './problem.ts';
import { bodyOf, type Session } from './session.ts';
import type { Page } from './views.ts';

/** Where ids of a kind can be looked up by their first characters. */
export type IdPlace = { prefix: string; noun: string; path: string; query: Record<string, string> };

export const approvalIds: IdPlace = {
  prefix: 'apr_',
  noun: 'approval',
  path: '/v1/approvals',
  query: { state: 'open' },
};
export const taskIds: IdPlace = { prefix: 'tsk_', noun: 'task', path: '/v1/tasks', query: {} };

const idLength = 16;
const fewest = 6;
const maxPages = 5;
const anyId = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$/;

/** An id as part of a path; what can be none is a mistake in the command, not a request. */
export function pathId(id: string): string {
  if (!anyId.test(id)) throw usage(`"${id}" is not an id.`);
  return encodeURIComponent(id);
}

/** The whole id behind its first characters, when exactly one begins with them; a whole id is taken as it is. */
export async function resolveId(session: Session, place: IdPlace, given: string): Promise<string> {
  const foreign = /^([a-z]{3}_)/.exec(given)?.[1];
  if (foreign !== undefined && foreign !== place.prefix)
    throw usage(
      `${given} is not the id of ${place.noun === 'approval' ? 'an' : 'a'} ${place.noun}.`,
      `These begin with ${place.prefix}.`,
    );
  pathId(given);
  const start = foreign === undefined ? given : given.slice(foreign.length);
  const id = `${place.prefix}${start}`;
  if (start.length >= idLength) return id;
  if (start.length < fewest)
    throw usage(
      `"${given}" is too short; give the whole id or at least ${fewest} characters behind ${place.prefix}.`,
    );
  const found = await idsFrom(session, place, id);
  if (found.length > 1) throw usage(`"${given}" could be ${found.join(' or ')}; give more of it.`);
  return found[0] ?? id;
}

async function idsFrom({ api }: Session, place: IdPlace, start: string): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < maxPages; page += 1) {
    const { items, nextCursor } = bodyOf<Page<{ id: string }>>(
      await api.get(place.path, { ...place.query, limit: 200, cursor }),
    );
    found.push(...items.map(({ id }) => id).filter((id) => id.startsWith(start)));
    if (nextCursor === null) break;
    cursor = nextCursor;
  }
  return found;
}
