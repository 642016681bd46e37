import type { JsonObject } from '../json.ts';

/** The analyzers of this release, in the order their results are shown. */
export const analyzers = [
  'endpoint-health',
  'agent-health',
  'squad-efficiency',
  'environment',
  'swarm-patrol',
] as const;
export type AnalyzerName = (typeof analyzers)[number];

export const issueSeverities = ['low', 'medium', 'high', 'critical'] as const;
export type IssueSeverity = (typeof issueSeverities)[number];

export type Issue = {
  /** Stable within its analyzer: the same trouble has the same key in the next cycle. */
  key: string;
  analyzer: AnalyzerName;
  entityKind: string;
  entityId: string;
  entityName: string;
  severity: IssueSeverity;
  title: string;
  /** What a repair needs to know; never live figures, as an approval is bound to it. */
  subject: JsonObject;
  /** The principal who answers for the entity; empty where nobody does. */
  owner: string;
  /** Ids of the events that show it, newest first. */
  evidence: string[];
  /** The figures that show it, for people; never part of what an approval is bound to. */
  observed?: JsonObject;
  /** When the first sign of it was seen. */
  sinceMs?: number;
  /** Entities (`kind:id`) that this one cannot do without. */
  dependsOn?: string[];
};

/** An issue above low severity, named by analyzer and key. */
export type WeakPoint = Issue & { id: string };

/** Most findings of one analyzer that a cycle carries; the worst come first. */
export const maxIssues = 200;

/** A thousand failing endpoints still make a small history: the worst findings speak for the rest. */
export function worstFirst(issues: Issue[]): Issue[] {
  return [...issues]
    .sort((a, b) => issueSeverities.indexOf(b.severity) - issueSeverities.indexOf(a.severity))
    .slice(0, maxIssues);
}
