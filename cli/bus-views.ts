import type { DeliveryState } from '../domain/delivery.ts';
import type { RedriveState } from '../domain/redrive.ts';
import type { SubscriptionState } from '../domain/subscription-request.ts';
import type { Link } from './views.ts';

/** The parts of the API's answers about the bus that this program reads. */
export type Event = {
  id: string;
  type: string;
  source: { type: string; id: string };
  severity: string;
  payload: unknown;
  recordedAt: string;
  cursor: string;
};

export type Thread = {
  correlationId: string;
  lastAt: string;
  durationMs: number;
  events: number;
  errors: number;
  depth: number;
  root: { id: string; type: string };
  isTruncated: boolean;
};

type EventInThread = Pick<Event, 'id' | 'type' | 'source' | 'severity' | 'recordedAt'>;

export type ThreadNode = { event: EventInThread; link: string; depth: number; delayMs: number | null };

export type EventChain = {
  ancestors: EventInThread[];
  missingCauseId: string | null;
  nodes: ThreadNode[];
  isTruncated: boolean;
};

export type Percentiles = { p50: number; p90: number; p99: number; max: number };

type Counted = { events: number; errors: number; errorShare: number };

export type EventStats = Counted & {
  from: string;
  to: string;
  withoutThread: number;
  threads: number;
  types: (Counted & { type: string; perMinute: number })[];
  sources: (Counted & { type: string; id: string })[];
  chains: { cause: string; effect: string; events: number }[];
  buckets: (Counted & { at: string })[];
  recordingLagMs: Percentiles | null;
  threadDurationMs: Percentiles | null;
  chainDepth: Percentiles | null;
};

export type Hook = {
  id: string;
  name: string;
  scheme: string;
  form: string;
  eventType: string;
  severity: string;
  perMinute: number;
  path: string;
  enabled: boolean;
  received: number;
  refused: number;
  lastReceivedAt: string | null;
};

export type BridgeCluster = {
  name: string;
  url: string;
  state: string;
  paused: boolean;
  backlog: number;
  backlogLimit: number;
  outboundPerMinute: number;
  inboundPerMinute: number | null;
  failedAcks: number;
  lastAckAt: string | null;
};

export type BroadcastTarget = { cluster: string; state: string; backlog: number; eventId: string | null };

export type DeadLetter = {
  id: string;
  subscription: string;
  part: string;
  eventId: string;
  eventType: string;
  cause: string;
  error: string;
  attempts: number;
  state: string;
  handledBy: string | null;
  reason: string | null;
  handledAt: string | null;
  redriveId: string | null;
  createdAt: string;
};

export type DeadLetterWhole = DeadLetter & {
  event: { payload: unknown };
  history: { at: string; cause: string; error: string }[];
  delivery: { state: string; attempts: number } | null;
  occurrences: { id: string; state: string }[];
};

export type LetterHeaps = {
  open: number;
  heaps: {
    subscription: string;
    cause: string;
    open: number;
    lastHour: number;
    lastDay: number;
    oldestOpenAt: string | null;
  }[];
  alerts: { subscription: string; because: string; raisedAt: string }[];
};

export type LetterPreview = {
  count: number;
  more: boolean;
  selection: string;
  heaps: { subscription: string; cause: string; count: number }[];
  items: { id: string; eventType: string; error: string; createdAt: string }[];
  leftOut: { id: string; why: string }[];
};

export type Redrive = {
  id: string;
  state: RedriveState;
  requestedBy: string;
  reason: string | null;
  canary: boolean;
  perMinute: number;
  total: number;
  counts: { waiting: number; released: number; completed: number; failed: number; leftOut: number };
  endedBecause: string | null;
  cancelledBy: string | null;
  createdAt: string;
  endedAt: string | null;
  temporal: Link;
};

export type RedriveWhole = Redrive & {
  odd: { deadLetterId: string; state: string; because: string | null }[];
};

export type Subscription = {
  key: string;
  description: string;
  state: SubscriptionState;
  owner: string | null;
  handler: Record<string, unknown> & { kind: string };
  match: {
    types: string[];
    minSeverity: string;
    excludeSourceTypes: string[];
    sources?: string[];
    destination?: string;
    filter?: string;
  };
  strategy: string;
  retry: { maxAttempts: number; backoffMs: number; maxBackoffMs: number };
  deadlineMs: number | null;
  pause: { at: string; by: string | null; reason: string | null } | null;
  lanes: {
    lane: string;
    backlog: { events: number; isMore: boolean };
    lagSeconds: number;
    delivered: number;
  }[];
  backlog: { events: number; isMore: boolean };
  lagSeconds: number;
  delivered: number;
  pendingDeliveries: number;
  openDeadLetters: number;
  version: number;
  temporal: Link;
};

/** The answer to a request that a subscription carries out: done, or on its way. */
export type SubscriptionAnswer =
  | { status: 'done'; subscription: Subscription; note: string | null }
  | { status: 'accepted-for-delivery'; temporal: Link; note: string | null };

export type Wormhole = {
  id: string;
  name: string;
  description: string;
  match: { types: string[] } & Record<string, unknown>;
  action: { kind: string } & Record<string, unknown>;
  maxHops: number;
  enabled: boolean;
  version: number;
  owner: string | null;
  backTest: { version: number; at: string } | null;
};

export type WormholeResult = {
  eventId: string;
  outcome: string;
  detail: { did?: string; why?: string; error?: string; taskId?: string };
  at: string;
};

export type WormholeDryRun = {
  wormhole: { name: string };
  matched: boolean;
  would: string | null;
  why: string | null;
  effect: Record<string, unknown> | null;
  notes: string[];
};

type WormholeSample = { eventId: string; type: string; outcome: string; says: string };

export type WormholeBackTest = {
  wormhole: { name: string };
  window: { complete: boolean };
  events: number;
  outcomes: Record<string, number>;
  would: Record<string, number>;
  tasks: { title: string; target: string; events: number }[];
  samples: WormholeSample[];
  compared: {
    same: number;
    changes: Record<string, number>;
    samples: (WormholeSample & { change: string; then: string | null })[];
  } | null;
  countsForEnabling: boolean;
  notes: string[];
};

export type SubscriptionTest = {
  eventId: string;
  state: DeliveryState;
  attempts: number;
  error: string | null;
  temporal: Link;
};

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
