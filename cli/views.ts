import type { AgentState } from '../domain/agent.ts';
import type { ApprovalKind, ApprovalState, Decision, Finding, Vote } from '../domain/approval.ts';
import type { SwitchLevel, SwitchState } from '../domain/kill-switch.ts';
import type { Approvers, PolicyMatch, PolicyRule } from '../domain/policy.ts';
import type { BackTested, BackTestTotals } from '../domain/policy-backtest.ts';
import type { DispatchMode, Risk, TaskPriority, TaskState } from '../domain/task.ts';

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
  blastRadius?: number;
  evidenceCount: number;
  groupSize: number;
  riskProposedLater: Risk | null;
  pastResults: {
    here: Results;
    anywhere: Results;
    /** APIs of earlier releases do not say. */
    verdicts?: Record<'here' | 'anywhere', { helped: number; didNotHelp: number }>;
  };
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
  blastRadius?: number;
  origin: string;
  requestedBy: string;
  agentId: string | null;
  dispatchMode: DispatchMode;
  run: number;
  attempt: number;
  approvalId: string;
  outcomeUnknown: boolean;
  progress: { fraction: number; message: string } | null;
  squad: string | null;
  priority: TaskPriority;
  score: number;
  dependsOn: string[];
  parentId: string | null;
  notBefore: string | null;
  dueAt: string | null;
  waitsFor: string | null;
  supersededBy: string | null;
  supersededBecause: string | null;
  error: string | null;
  createdAt: string;
  updatedAt: string;
  temporal: Link;
};
export type TaskWhole = Task & { payload: unknown; evidence: string[]; result: unknown };
export type TaskShown = {
  task: TaskWhole;
  children: { total: number; done: number; ended: number; share: number | null };
  choice: { because: string } | null;
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

export type Probe = {
  id: string;
  name: string;
  method: string;
  url: string;
  state: string;
  enabled: boolean;
  intervalSeconds: number | null;
  consecutiveFailures: number;
  dependsOn: string[];
  lastResult: {
    ok: boolean;
    status: number | null;
    latencyMs: number;
    failures: string[];
    at: string;
  } | null;
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

export type Squad = {
  name: string;
  description: string;
  leader: string | null;
  members: {
    agentId: string;
    name: string;
    role: string;
    state: AgentState;
    running: number;
    maxConcurrency: number;
    successShare: number | null;
  }[];
  load: { running: number; places: number; openTasks: number };
  successShare: number | null;
};
export type Agent = {
  id: string;
  name: string;
  role: string;
  capabilities: string[];
  executor: string;
  configVersion: number;
  maxConcurrency: number;
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
