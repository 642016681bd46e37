import { canonical } from './json.ts';

/*
 * Many approvals are decided at once only as they were seen: a preview names each with its digest, and its selection
 * has to be the same still when the decision comes. Whatever appeared, left or changed in between was seen by nobody.
 */
export type Selected = { id: string; digest: string };

/** More are not looked through by a person at once. */
export const mostAtOnce = 200;

const shortDigest = 12;

/** The text whose hash is the fingerprint of a selection: every pair, whatever the order it was listed in. */
export function selectionText(items: readonly Selected[]): string {
  const pairs = items.map(({ id, digest }) => `${id}=${digest}`);
  return canonical(pairs.sort());
}

/** The token a preview hands out: the fingerprint, and enough of the pairs to say later what moved. */
export function encodeSelection(items: readonly Selected[], hash: string): string {
  const pairs = items.map(({ id, digest }) => `${id}~${digest.slice(0, shortDigest)}`);
  return [hash, ...pairs].join(',');
}

export type SeenSelection = { hash: string; seen: Selected[] };

/** Reads a token; null for what no preview ever made. */
export function parseSelection(text: string): SeenSelection | null {
  const [hash = '', ...pairs] = text.split(',');
  if (!/^[0-9a-f]{64}$/.test(hash) || pairs.length > mostAtOnce) return null;
  const seen = pairs.map((pair) => /^([A-Za-z0-9_.:-]{1,100})~([0-9a-f]{1,12})$/.exec(pair));
  if (seen.some((match) => match === null)) return null;
  return { hash, seen: seen.map((match) => ({ id: match?.[1] ?? '', digest: match?.[2] ?? '' })) };
}

export type Moved = { appeared: string[]; gone: string[]; changed: string[] };

/** What is different now from what was seen. */
export function whatMoved(seen: readonly Selected[], now: readonly Selected[]): Moved {
  const before = new Map(seen.map(({ id, digest }) => [id, digest]));
  const after = new Set(now.map(({ id }) => id));
  const known = now.filter(({ id }) => before.has(id));
  return {
    appeared: now.filter(({ id }) => !before.has(id)).map(({ id }) => id),
    gone: [...before.keys()].filter((id) => !after.has(id)),
    changed: known.filter(({ id, digest }) => !digest.startsWith(before.get(id) ?? '')).map(({ id }) => id),
  };
}
