import type { EntityLink } from './insight.ts';
import type { JsonObject } from './json.ts';
import type { Remembered } from './resonance.ts';

export type FoundLink = EntityLink & { figures: JsonObject };

/** When an entity failed: numbers of time buckets, counted from the beginning of the window. */
export type Failures = { entity: string; buckets: number[] };

/**
 * Failures of 7 days in buckets of 5 minutes, so that probes of unlike intervals meet in one. By chance, two of 200
 * entities that each failed 5 times are seldom thrice in one bucket: fewer joint episodes prove nothing.
 */
export const togetherLimits = {
  windowMs: 7 * 86_400_000,
  bucketMs: 300_000,
  /** Four hours of log, before which a likeness of so few buckets is none. */
  fewestBuckets: 48,
  fewestEpisodes: 3,
  mostEntities: 300,
} as const;

/** A new link is as strong as `enter`; one that is known stays while it is as strong as `stay`. */
const linkBounds = {
  'fails-together': { enter: 0.6, stay: 0.5 },
  resembles: { enter: 0.95, stay: 0.9 },
} as const satisfies Record<EntityLink['kind'], { enter: number; stay: number }>;

/** Links that are kept of each kind, the strongest. */
export const mostLinks = 500;

/** A trait about which nothing was said (LEDGER 1.2): it resembles nobody. */
const neutral = 0.5;
const mostCompared = 200;
const fewestShared = 2;

/**
 * Two entities fail together when the phi coefficient of their failing time buckets is above a threshold and they did
 * so in three episodes at least; unlike the cosine, phi is 0 for two that always fail (N-001, HALO group).
 */
export function failsTogether(failures: readonly Failures[], total: number): FoundLink[] {
  if (total < togetherLimits.fewestBuckets) return [];
  const series = failures
    .map(({ entity, buckets }) => ({ entity, bits: bitsOf(buckets, total) }))
    .map((one) => ({ ...one, ...countsOf(one.bits, one.bits) }))
    .filter(({ episodes }) => episodes >= togetherLimits.fewestEpisodes)
    .sort((a, b) => b.both - a.both || order(a.entity, b.entity))
    .slice(0, togetherLimits.mostEntities);
  return strongest(
    pairsOf(series).flatMap(([a, b]) => {
      const { both, episodes } = countsOf(a.bits, b.bits);
      if (episodes < togetherLimits.fewestEpisodes) return [];
      const weight = phi({ both, one: a.both, other: b.both, total });
      const figures = { together: both, episodes, from: a.both, to: b.both, buckets: total };
      return [{ from: a.entity, to: b.entity, kind: 'fails-together' as const, weight, figures }];
    }),
  );
}

/** The correlation of two yes-or-no series, -1 to 1; 0 when one of them never changes. */
export function phi(n: { both: number; one: number; other: number; total: number }): number {
  const spread = n.one * (n.total - n.one) * n.other * (n.total - n.other);
  if (spread <= 0) return 0;
  return clamp((n.both * n.total - n.one * n.other) / Math.sqrt(spread));
}

/**
 * Two entities of one kind resemble each other when the cosine of their trait vectors is above a threshold (N-001),
 * measured from the neutral 0.5: from 0 all traits point the same way. Two traits at least must have moved in both.
 */
export function resembling(remembered: readonly Remembered[]): FoundLink[] {
  const vectors = remembered
    .map(({ entity, traits }) => ({
      entity,
      moved: new Map(
        Object.entries(traits)
          .map(([trait, value]) => [trait, value - neutral] as const)
          .filter(([, off]) => off !== 0),
      ),
    }))
    .map((one) => ({ ...one, length: Math.hypot(...one.moved.values()) }))
    .filter(({ moved }) => moved.size >= fewestShared)
    .sort((a, b) => b.length - a.length || order(a.entity, b.entity))
    .slice(0, mostCompared);
  return strongest(
    pairsOf(vectors).flatMap(([a, b]) => {
      const shared = [...a.moved.keys()].filter((trait) => b.moved.has(trait));
      if (kindOf(a.entity) !== kindOf(b.entity) || shared.length < fewestShared) return [];
      const product = shared.reduce(
        (sum, trait) => sum + (a.moved.get(trait) ?? 0) * (b.moved.get(trait) ?? 0),
        0,
      );
      const weight = clamp(product / (a.length * b.length));
      return [
        {
          from: a.entity,
          to: b.entity,
          kind: 'resembles' as const,
          weight,
          figures: { traits: shared.sort() },
        },
      ];
    }),
  );
}

/** Links of one kind that can be kept: none below what a known one needs to stay, and the strongest of them. */
function strongest(links: FoundLink[]): FoundLink[] {
  return links
    .filter(({ kind, weight }) => weight >= linkBounds[kind].stay)
    .sort((a, b) => b.weight - a.weight || order(a.from, b.from) || order(a.to, b.to))
    .slice(0, mostLinks);
}

/** Links that hold: the new ones are strong enough to begin, the known ones strong enough to stay. */
export function holdingLinks(
  found: readonly FoundLink[],
  isKnown: (link: EntityLink) => boolean,
): FoundLink[] {
  return found.filter((link) => link.weight >= linkBounds[link.kind].enter || isKnown(link));
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function kindOf(entity: string): string {
  return entity.split(':', 1)[0] ?? '';
}

function clamp(value: number): number {
  return Math.max(-1, Math.min(1, value));
}

/** Each two of them once, the first before the second in text order. */
function pairsOf<T extends { entity: string }>(all: readonly T[]): [T, T][] {
  const sorted = [...all].sort((a, b) => order(a.entity, b.entity));
  return sorted.flatMap((a, at) => sorted.slice(at + 1).map((b): [T, T] => [a, b]));
}

function bitsOf(buckets: readonly number[], total: number): Uint32Array {
  const bits = new Uint32Array(Math.ceil(total / 32));
  for (const bucket of buckets)
    if (bucket >= 0 && bucket < total) bits[bucket >>> 5] = (bits[bucket >>> 5] ?? 0) | (1 << (bucket & 31));
  return bits;
}

/** Buckets that both have, and in how many runs these come. */
function countsOf(a: Uint32Array, b: Uint32Array): { both: number; episodes: number } {
  let both = 0;
  let episodes = 0;
  let carry = 0;
  // By number: an iterator's entries for each two entities are a hundred megabytes of short-lived arrays.
  for (let at = 0; at < a.length; at += 1) {
    const joint = (a[at] ?? 0) & (b[at] ?? 0);
    both += ones(joint);
    episodes += ones(joint & ~((joint << 1) | carry));
    carry = joint >>> 31;
  }
  return { both, episodes };
}

function ones(word: number): number {
  let rest = word - ((word >>> 1) & 0x55555555);
  rest = (rest & 0x33333333) + ((rest >>> 2) & 0x33333333);
  return (((rest + (rest >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}
