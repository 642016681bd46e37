import { issueSeverities, type WeakPoint } from './analyzers/issue.ts';

/** Entities that HALO remembers (LEDGER 1.2); an entity is written `kind:id`. */
export const entityKinds = ['agent', 'squad', 'endpoint', 'spore'] as const;
export type EntityKind = (typeof entityKinds)[number];

export const insightSeverities = ['low', 'medium', 'high'] as const;
export type InsightSeverity = (typeof insightSeverities)[number];

export const insightPatterns = [
  'endpoints-unreliable',
  'agent-unreliable',
  'squad-strong',
  'spore-popular',
  'fails-together',
] as const;
export type InsightPattern = (typeof insightPatterns)[number];

export type Insight = {
  id: string;
  pattern: InsightPattern;
  severity: InsightSeverity;
  title: string;
  /** As `kind:id`. */
  entities: string[];
  suggestedActions: string[];
};

export const entityLinkKinds = ['fails-together', 'resembles'] as const;

/** How strongly two entities belong together, 0 to 1; `from` is before `to` in text order. */
export type EntityLink = { from: string; to: string; kind: (typeof entityLinkKinds)[number]; weight: number };

/** What became of an action on a class of targets so far, by `action|class`. */
export type TrackRecord = { helped: number; failed: number };

/** What earlier cycles have learned about the entities of this one. */
export type Lessons = {
  insights: Insight[];
  links: EntityLink[];
  records: Record<string, TrackRecord>;
};

export const noLessons: Lessons = { insights: [], links: [], records: {} };

/** The entity a finding is about, as memory names it: a probe watches an endpoint. */
export function entityOf({ entityKind, entityId }: Pick<WeakPoint, 'entityKind' | 'entityId'>): string {
  return `${entityKind === 'probe' ? 'endpoint' : entityKind}:${entityId}`;
}

/**
 * A weak point on an entity that an open high insight names is one severity graver, and targets come in the order of the
 * gravest insight that names them: high, medium, none; a low one tells of strength (LEDGER 5.6, closes D9). `used` names
 * the insights that gave a weak point its severity or its place.
 */
export function raiseByInsights(
  weakPoints: WeakPoint[],
  insights: readonly Insight[],
): { weakPoints: WeakPoint[]; used: string[] } {
  const used = new Set<string>();
  const ranked = weakPoints.map((weakPoint) => {
    const about = insights.filter(({ entities }) => entities.includes(entityOf(weakPoint)));
    const rank = ranks.find((severity) => about.some((insight) => insight.severity === severity)) ?? null;
    for (const { id, severity } of about) if (severity === rank) used.add(id);
    return { weakPoint: rank === 'high' ? graver(weakPoint) : weakPoint, rank };
  });
  const inOrder = [...ranks, null].flatMap((rank) => ranked.filter((one) => one.rank === rank));
  return { weakPoints: inOrder.map(({ weakPoint }) => weakPoint), used: [...used] };
}

const ranks = ['high', 'medium'] as const satisfies InsightSeverity[];

function graver(weakPoint: WeakPoint): WeakPoint {
  const next = issueSeverities[issueSeverities.indexOf(weakPoint.severity) + 1];
  return next === undefined ? weakPoint : { ...weakPoint, severity: next };
}
