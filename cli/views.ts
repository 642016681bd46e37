import type { AgentState } from '../domain/agent.ts';
import type { ApprovalKind, ApprovalState, Decision, Finding, Vote } from '../domain/approval.ts';
import type { DeliveryState } from '../domain/delivery.ts';
import type { CycleMode, CycleState } from '../domain/halo.ts';
import type { SwitchLevel, SwitchState } from '../domain/kill-switch.ts';
import type { Approvers, PolicyMatch, PolicyRule } from '../domain/policy.ts';
import type { BackTested, BackTestTotals } from '../domain/policy-backtest.ts';
import type { DispatchMode, Risk, TaskState } from '../domain/task.ts';

/** The parts of the API's answers that this program reads. */
export type Link = { workflowId: string; runId: string | null; url: string };
export type Page<T> = { items: T[]; nextCursor: string | null };

export type Approval = {
  id: string;
  kind: ApprovalKind;
  taskId: string;
  title: string;
  summary: Record<string, unknown>;
  risk: Risk;
  digest: string;
  state: ApprovalState;
  requestedBy: { id: string; name?: string };
  requiredApprovals: number;
  rule: {
    policyId: string;
    policyVersion: number;
    stage: { number: number; of: number; approvals: number; given: number; approvers: Approvers };
    votesLeft: number;
    reasonRequired: boolean;
    editAllowed: boolean;
    handOverAllowed: boolean;
    glassBroken: number;
  };
  findings: Finding[];
  votes: Vote[];
  handovers: { fromName: string; toName: string }[];
  guidance: string | null;
  reminders: number;
  escalatedAt: string | null;
  ageSeconds: number;
  createdAt: string;
  expiresAt: string;
  closedBecause: string | null;
  temporal: Link;
};
export type Results = {
  succeeded: number;
  failed: number;
  unknown: number;
  rejected: number;
  lastRunAt: string | null;
};
export type InboxItem = Approval & {
  allowedActions: Decision[];
  whyNot: string | null;
  touches: { target: string; type: string };
  reversible: boolean;
  evidenceCount: number;
  groupSize: number;
  riskProposedLater: Risk | null;
  pastResults: { here: Results; anywhere: Results };
};

export type BulkPreview = {
  count: number;
  more: boolean;
  selection: string;
  items: { id: string; kind: string; title: string; risk: Risk; target: string; whyNot: string | null }[];
  leftOut: { id: string; title: string | null; why: string }[];
};
export type BulkDone = {
  accepted: number;
  refused: number;
  pending: number;
  results: {
    id: string;
    title: string;
    accepted: boolean;
    state?: ApprovalState;
    delivered?: boolean;
    message?: string;
  }[];
};

export type Decided = {
  approval: Approval;
  outcome: { state: ApprovalState; votesLeft: number; decidedAt: string };
};
/** The body of a 202: stored, and on its way to the run. */
export type Delivering = { requestId: string; temporal: Link };

export type Policy = {
  id: string;
  name: string;
  version: number;
  place: number;
  match: PolicyMatch;
  rule: PolicyRule;
  enabled: boolean;
  builtIn: boolean;
  editedBy: string | null;
  enabledBy: string | null;
};
export type BackTest = {
  policy: { id: string; name: string };
  days: number;
  totals: BackTestTotals;
  items: BackTested[];
  itemsLeftOut: number;
  notes: string[];
};

export type Task = {
  id: string;
  type: string;
  title: string;
  target: string;
  targetRole: string;
  state: TaskState;
  risk: Risk;
  origin: string;
  requestedBy: string;
  agentId: string | null;
  dispatchMode: DispatchMode;
  run: number;
  attempt: number;
  approvalId: string;
  outcomeUnknown: boolean;
  progress: { fraction: number; message: string } | null;
  error: string | null;
  createdAt: string;
  updatedAt: string;
  temporal: Link;
};
export type TaskWhole = Task & { payload: unknown; evidence: string[]; result: unknown };
export type TaskShown = {
  task: TaskWhole;
  approval: {
    id: string;
    state: ApprovalState;
    requiredApprovals: number;
    votes: number;
    decidedBy: string | null;
  } | null;
  attempts: { attempt: number; agentId: string; executor: string; state: string; startedAt: string }[];
};
export type LogLine = {
  id: number;
  attempt: number;
  at: string;
  level: 'info' | 'warning' | 'error';
  message: string;
};

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

export type Cycle = {
  id: string;
  mode: CycleMode;
  state: CycleState;
  weakPoints: { id: string; severity: string; title: string }[];
  taskIds: string[];
  error: string | null;
  startedAt: string;
  endedAt: string | null;
  temporal: Link;
};
export type HaloState = {
  running: boolean;
  paused: boolean | null;
  pending: { cycleId: string } | null;
  runningCycleId: string | null;
  lastEndedAt: string | null;
  startsInLastHour: number | null;
  cycles: number | null;
  temporal: Link;
};

export type Probe = {
  id: string;
  name: string;
  method: string;
  url: string;
  state: string;
  enabled: boolean;
  intervalSeconds: number | null;
  consecutiveFailures: number;
};
export type ProbeRun = {
  done: boolean;
  ok: boolean | null;
  eventId: string | null;
  failures: string[];
  temporal: Link;
};

export type Channel = {
  id: string;
  name: string;
  kind: string;
  config: Record<string, unknown>;
  topics: string[];
  minSeverity: string;
  cooldownMs: number;
  enabled: boolean;
  health: string;
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
export type Notification = {
  id: string;
  channelId: string;
  topic: string;
  title: string;
  state: string;
  more: number;
  attempts: number;
  receipt: { status: string; messageId: string | null } | null;
  error: string | null;
  createdAt: string;
  temporal: Link;
};

export type Agent = {
  id: string;
  name: string;
  role: string;
  capabilities: string[];
  executor: string;
  configVersion: number;
  state: AgentState;
  lastSeenAt: string | null;
};
export type Held = { running: number; waiting: number; parked: number };
type Who = { id: string; name: string | null };
export type KillSwitch = {
  scope: string;
  state: SwitchState;
  level: SwitchLevel;
  epoch: number;
  reason: string;
  engagedBy: Who;
  engagedAt: string;
  release: { by: Who; at: string; reason: string; perMinute: number; drained: number } | null;
  held: Held;
};

export type Status = {
  killSwitches: KillSwitch[];
  tasks: Record<string, number>;
  openApprovals: number;
  agents: Record<string, number>;
  probes: Record<string, number>;
  lastCycle: { id: string; state: string; startedAt: string; temporal: Link } | null;
  rawSignals: string;
  readiness: { ready: boolean; checks: Record<string, { ok: boolean; message: string }> };
};

export type AuditItem = {
  chainNo: number;
  at: string;
  actor: string;
  action: string;
  subject: { kind: string; id: string };
  outcome: 'ok' | 'refused';
};

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
  state: string;
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
  state: 'active' | 'paused' | 'removed';
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
