/** Answers of the API about the bus, as far as commands show them. */
export type { Page } from './views.ts';

export type EventSchema = {
  type: string;
  version: number;
  description: string;
  mode: string;
  enabled: boolean;
  owner: string;
  createdAt: string;
  schema?: unknown;
};

export type SchemaVersions = { type: string; inForce: EventSchema | null; versions: EventSchema[] };

export type BackTestedSchema = {
  looked: number;
  valid: number;
  invalid: number;
  examples: { eventId: string; path: string; message: string }[];
};

export type RetentionRule = { types: string; keepDays: number };

export type Retention = {
  rules: RetentionRule[];
  version: number;
  changedBy: string;
  changedAt: string;
  appliedAt: string | null;
  applied: { partitions: { name: string; events: number }[]; events: number; keys: number } | null;
};

export type RetentionPlan = {
  types: { type: string; keepDays: number; expired: number; held: number }[];
  partitions: { name: string; from: string; to: string; events: number; held: boolean }[];
  keys: number;
  holders: { kind: string; subscription: string; lane: string | null; isPaused: boolean; count: number }[];
};
