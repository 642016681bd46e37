import type { JsonObject } from './json.ts';
import { type EntityLink, type Insight, insightSeverities } from './insight.ts';

/** An entity as `kind:id`, with its traits of 0 to 1. */
export type Remembered = { entity: string; traits: Record<string, number> };

/** An insight that holds now; `key` stays the same for as long as it does. */
export type FoundInsight = Omit<Insight, 'id'> & { key: string; figures: JsonObject };

/** Below or above which a trait is worth an insight (LEDGER 1.2). */
export const insightBounds = {
  endpointReliability: 0.4,
  endpointsAtLeast: 2,
  agentReliability: 0.45,
  squadReliability: 0.75,
  sporePopularity: 0.7,
} as const;

/** Insights that are kept, those that ended among them (LEDGER 1.2). */
const insightsKept = 100;

/** How many entities one insight names; its figures say how many there are. */
const mostNamed = 200;

/** Links this strong are an insight of their own. */
const strongTogether = 0.8;

/**
 * Two or more endpoints with reliability below 0.4 are a high insight, each agent below 0.45 a medium one, each squad
 * above 0.75 a low one, and each spore with popularity above 0.7 a medium one (LEDGER 1.2, N-001); strong links of
 * failures are a medium one for each group of entities.
 */
export function insightsOf(
  remembered: readonly Remembered[],
  links: readonly EntityLink[] = [],
): FoundInsight[] {
  const found = [
    ...unreliableEndpoints(remembered),
    ...remembered.flatMap((one) => [agentUnreliable(one), squadStrong(one), sporePopular(one)].flat()),
    ...togetherInsights(links),
  ];
  return found.sort(graverFirst).slice(0, insightsKept);
}

function graverFirst(a: FoundInsight, b: FoundInsight): number {
  return (
    insightSeverities.indexOf(b.severity) - insightSeverities.indexOf(a.severity) || inTextOrder(a.key, b.key)
  );
}

function inTextOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function traitOf({ entity, traits }: Remembered, kind: string, trait: string): number | null {
  return entity.startsWith(`${kind}:`) ? (traits[trait] ?? null) : null;
}

function unreliableEndpoints(remembered: readonly Remembered[]): FoundInsight[] {
  const below = remembered
    .map((one) => ({ entity: one.entity, value: traitOf(one, 'endpoint', 'reliability') }))
    .filter((one): one is { entity: string; value: number } => one.value !== null)
    .filter(({ value }) => value < insightBounds.endpointReliability)
    .sort((a, b) => a.value - b.value || inTextOrder(a.entity, b.entity));
  const [worst] = below;
  if (worst === undefined || below.length < insightBounds.endpointsAtLeast) return [];
  return [
    {
      // One group however its members change, or each that comes or goes would end it and begin another.
      key: 'endpoints-unreliable',
      pattern: 'endpoints-unreliable',
      severity: 'high',
      title: `${below.length} endpoints have a reliability below ${insightBounds.endpointReliability}`,
      entities: below.slice(0, mostNamed).map(({ entity }) => entity),
      suggestedActions: [
        'Look at the least reliable first.',
        'Look for what they have in common: a dependency, a host, a deployment.',
      ],
      figures: { endpoints: below.length, worst: worst.entity, worstReliability: worst.value },
    },
  ];
}

function agentUnreliable(one: Remembered): FoundInsight[] {
  const reliability = traitOf(one, 'agent', 'reliability');
  if (reliability === null || reliability >= insightBounds.agentReliability) return [];
  return [
    aboutOne(one, 'agent-unreliable', 'medium', {
      title: `${one.entity} has a reliability below ${insightBounds.agentReliability}`,
      suggestedActions: ["Look at the agent's last failed tasks.", 'Give its tasks to another agent.'],
      figures: { reliability },
    }),
  ];
}

function squadStrong(one: Remembered): FoundInsight[] {
  const reliability = traitOf(one, 'squad', 'reliability');
  if (reliability === null || reliability <= insightBounds.squadReliability) return [];
  return [
    aboutOne(one, 'squad-strong', 'low', {
      title: `${one.entity} has a reliability above ${insightBounds.squadReliability}`,
      suggestedActions: ['Give the squad more of such work.'],
      figures: { reliability },
    }),
  ];
}

function sporePopular(one: Remembered): FoundInsight[] {
  const popularity = traitOf(one, 'spore', 'popularity');
  if (popularity === null || popularity <= insightBounds.sporePopularity) return [];
  return [
    aboutOne(one, 'spore-popular', 'medium', {
      title: `${one.entity} has a popularity above ${insightBounds.sporePopularity}`,
      suggestedActions: ['Test its changes with more care: many depend on it.'],
      figures: { popularity },
    }),
  ];
}

function aboutOne(
  { entity }: Remembered,
  pattern: Insight['pattern'],
  severity: Insight['severity'],
  rest: Pick<FoundInsight, 'title' | 'suggestedActions' | 'figures'>,
): FoundInsight {
  return { key: `${pattern}|${entity}`, pattern, severity, entities: [entity], ...rest };
}

function togetherInsights(links: readonly EntityLink[]): FoundInsight[] {
  const strong = links.filter(({ kind, weight }) => kind === 'fails-together' && weight >= strongTogether);
  return groupsOf(strong).map((group) => {
    const [first = ''] = group;
    const inside = strong.filter(({ from }) => group.includes(from));
    const weakest = Math.min(...inside.map(({ weight }) => weight));
    return {
      key: `fails-together|${first}`,
      pattern: 'fails-together',
      severity: 'medium',
      title: `${group.length} entities fail together`,
      entities: group.slice(0, mostNamed),
      suggestedActions: ['Look for what they share, and repair that once.'],
      figures: { entities: group.length, links: inside.length, weakest },
    };
  });
}

/** Entities that are joined by links, each group in text order. */
function groupsOf(links: readonly EntityLink[]): string[][] {
  const groupOf = new Map<string, Set<string>>();
  for (const { from, to } of links) {
    const one = groupOf.get(from) ?? new Set([from]);
    const other = groupOf.get(to) ?? new Set([to]);
    const [large, small] = one.size >= other.size ? [one, other] : [other, one];
    for (const entity of small) large.add(entity);
    for (const entity of large) groupOf.set(entity, large);
  }
  return [...new Set(groupOf.values())].map((group) => [...group].sort());
}

/** An insight on record. */
export type KnownInsight = { id: string; key: string; isOpen: boolean };

export type Settled = {
  fresh: FoundInsight[];
  held: (FoundInsight & { id: string })[];
  /** Ids of those that no longer hold, and of those that are forgotten. */
  ended: string[];
  dropped: string[];
};

/**
 * An insight that still holds keeps its id, one that no longer holds ends, and beyond 100 the ones that were seen longest
 * ago are forgotten (LEDGER 1.2); `known` begins with the one seen last.
 */
export function settleInsights(
  known: readonly KnownInsight[],
  found: readonly FoundInsight[],
  kept = insightsKept,
): Settled {
  const open = new Map(known.filter(({ isOpen }) => isOpen).map(({ key, id }) => [key, id]));
  const keys = new Set(found.map(({ key }) => key));
  const isOver = ({ key, isOpen }: KnownInsight): boolean => !isOpen || !keys.has(key);
  const past = [...known.filter(({ isOpen }) => isOpen), ...known.filter(({ isOpen }) => !isOpen)].filter(
    isOver,
  );
  const room = Math.max(0, kept - found.length);
  return {
    fresh: found.filter(({ key }) => !open.has(key)),
    held: found.flatMap((one) => {
      const id = open.get(one.key);
      return id === undefined ? [] : [{ ...one, id }];
    }),
    ended: past
      .slice(0, room)
      .filter(({ isOpen }) => isOpen)
      .map(({ id }) => id),
    dropped: past.slice(room).map(({ id }) => id),
  };
}
