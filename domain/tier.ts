/** What a principal may use in a minute, and the features that are open to it. Null is not limited, so not counted. */
export type Tier = {
  name: string;
  perMinute: number | null;
  eventsPerMinute: number | null;
  bytesPerMinute: number | null;
  features: string[];
};

const kilobyte = 1024;
const megabyte = 1024 * kilobyte;

/** The tiers that are there from the first start (LEDGER 1.2), lowest first; an admin can change them and add others. */
export const firstTiers: readonly Tier[] = [
  { name: 'seed', perMinute: 10, eventsPerMinute: 100, bytesPerMinute: 256 * kilobyte, features: [] },
  { name: 'builder', perMinute: 60, eventsPerMinute: 1_000, bytesPerMinute: 4 * megabyte, features: [] },
  { name: 'operator', perMinute: 200, eventsPerMinute: 10_000, bytesPerMinute: 32 * megabyte, features: [] },
  {
    name: 'founder',
    perMinute: 1_000,
    eventsPerMinute: 100_000,
    bytesPerMinute: 256 * megabyte,
    features: [],
  },
  { name: 'unmetered', perMinute: null, eventsPerMinute: null, bytesPerMinute: null, features: [] },
];

/** The tier of this name; an unknown or missing name is the lowest tier, never a better one. */
export function resolveTier(tiers: readonly Tier[], name: string | undefined): Tier {
  const known = tiers.find((tier) => tier.name === name);
  if (known !== undefined) return known;
  const [lowest] = [...tiers].sort((a, b) => (a.perMinute ?? Infinity) - (b.perMinute ?? Infinity));
  return lowest ?? { name: 'seed', perMinute: 10, eventsPerMinute: 100, bytesPerMinute: 0, features: [] };
}
