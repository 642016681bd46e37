import type { Check } from '../domain/analyzers/check.ts';
import type { CycleMode, CycleState } from '../domain/halo.ts';
import type { EntityLink, Insight } from '../domain/insight.ts';

/** The parts of the API's answers about insights that this program reads. */
export type InsightView = Insight & {
  figures: Record<string, unknown>;
  foundBy: string;
  lastSeenBy: string;
  foundAt: string;
  lastSeenAt: string;
  endedAt: string | null;
};
export type InsightDetail = InsightView & {
  usedBy: { id: string; mode: CycleMode; state: CycleState; startedAt: string }[];
};
export type LinkView = EntityLink & { figures: Record<string, unknown>; updatedAt: string };

export type AnalyzersView = {
  items: {
    name: string;
    about: string;
    watches: string;
    modes: CycleMode[];
    lastLook: { cycleId: string; at: string; state: string; tookMs: number; issues: number } | null;
    checks: Check[];
    health: number | null;
  }[];
  planned: { name: string; about: string; comesWith: string }[];
};
