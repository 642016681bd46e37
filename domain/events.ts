import { z } from 'zod';
import type { JsonObject } from './json.ts';

export const severities = ['info', 'warning', 'error', 'critical'] as const;
export type Severity = (typeof severities)[number];

export const priorities = ['low', 'normal', 'high', 'critical'] as const;
export type Priority = (typeof priorities)[number];

export const sourceTypes = ['agent', 'squad', 'halo', 'api', 'graft', 'spore', 'system'] as const;
export type SourceType = (typeof sourceTypes)[number];

/** Event types this release emits itself; other dotted types are open to anyone (K3). */
export const eventTypes = {
  endpointFailed: 'api.endpoint.failed',
  endpointSucceeded: 'api.endpoint.success',
  haloCycleStarted: 'halo.cycle.started',
  haloCyclePlanned: 'halo.cycle.planned',
  haloCycleCompleted: 'halo.cycle.completed',
  haloCycleFailed: 'halo.cycle.failed',
  haloWeakPointCritical: 'halo.weakpoint.critical',
  haloPaused: 'halo.loop.paused',
  haloResumed: 'halo.loop.resumed',
  haloInsightFound: 'halo.insight.found',
  haloRepairJudged: 'halo.repair.judged',
  haloProposalSuperseded: 'halo.proposal.superseded',
  autonomyChanged: 'halo.autonomy.changed',
  memoryChanged: 'halo.memory.changed',
  deployCompleted: 'deploy.completed',
  squadChanged: 'squad.changed',
  taskCreated: 'squad.task.created',
  taskApproved: 'squad.task.approved',
  taskRejected: 'squad.task.rejected',
  taskExpired: 'squad.task.expired',
  taskCancelled: 'squad.task.cancelled',
  taskDispatched: 'squad.task.dispatched',
  taskCompleted: 'squad.task.completed',
  taskFailed: 'squad.task.failed',
  taskRetried: 'squad.task.retried',
  taskOutcomeUnknown: 'squad.task.outcome-unknown',
  approvalRequested: 'approval.requested',
  approvalVoted: 'approval.voted',
  approvalVoided: 'approval.voided',
  approvalReminded: 'approval.reminded',
  approvalEscalated: 'approval.escalated',
  approvalHandedOver: 'approval.handed-over',
  approvalEdited: 'approval.edited',
  approvalGlassBroken: 'approval.glass-broken',
  policyChanged: 'policy.changed',
  killSwitchEngaged: 'kill-switch.engaged',
  killSwitchReleased: 'kill-switch.released',
  taskParked: 'squad.task.parked',
  taskReleased: 'squad.task.released',
  taskWaiting: 'squad.task.waiting',
  agentRegistered: 'agent.capability',
  agentStatus: 'agent.status',
  probeCreated: 'api.probe.created',
  probeChanged: 'api.probe.changed',
  principalCreated: 'security.principal.created',
  principalChanged: 'security.principal.changed',
  keyIssued: 'security.key.issued',
  keyRevoked: 'security.key.revoked',
  keyRotated: 'security.key.rotated',
  roleChanged: 'security.role.changed',
  groupChanged: 'security.group.changed',
  loginFailed: 'security.login.failed',
  accessDenied: 'security.access.denied',
  ticketForged: 'security.ticket.forged',
  threatRaised: 'security.threat.raised',
  threatClosed: 'security.threat.closed',
  blockPlaced: 'security.block.placed',
  blockLifted: 'security.block.lifted',
  controlChanged: 'security.control.changed',
  channelChanged: 'notification.channel.changed',
  notificationSent: 'notification.sent',
  notificationFailed: 'notification.failed',
  auditAnchored: 'audit.anchored',
  integrationFailed: 'integration.failed',
  processingFailed: 'event.processing.failed',
  subscriptionChanged: 'bus.subscription.changed',
  wormholeChanged: 'bus.wormhole.changed',
  deadLetterRedriven: 'bus.dead-letter.redriven',
  deadLetterDiscarded: 'bus.dead-letter.discarded',
  deadLettersGrowing: 'bus.dead-letters.growing',
  deadLettersSettled: 'bus.dead-letters.settled',
  redriveStarted: 'bus.redrive.started',
  redriveEnded: 'bus.redrive.ended',
  replayStarted: 'bus.replay.started',
  replayEnded: 'bus.replay.ended',
  eventSchemaChanged: 'bus.schema.changed',
  retentionApplied: 'bus.retention.applied',
  retentionChanged: 'bus.retention.changed',
  hookChanged: 'bus.hook.changed',
  clusterChanged: 'bus.cluster.changed',
} as const;

/** What spores and grafts say: settled before they are, so that who listens and who speaks use one name (trap D8). */
export const sporeEventTypes = {
  graftInstalled: 'graft.installed',
  graftInstallFailed: 'graft.install.failed',
  sporeDeployed: 'spore.deployed',
} as const;

/** Delivery order follows importance unless the producer says otherwise (K2). */
export function defaultPriority(severity: Severity): Priority {
  const bySeverity = { info: 'normal', warning: 'normal', error: 'high', critical: 'critical' } as const;
  return bySeverity[severity];
}

export function isAtLeast(severity: Severity, minimum: Severity): boolean {
  return severities.indexOf(severity) >= severities.indexOf(minimum);
}

/** The severities that are at least as grave as one, the mildest first. */
export function severitiesFrom(minimum: Severity): Severity[] {
  return severities.filter((severity) => isAtLeast(severity, minimum));
}

/** The first word of a dotted type: the category events are grouped and searched by. */
export function categoryOf(type: string): string {
  return type.split('.', 1)[0] ?? type;
}

/** Largest event payload accepted, bytes of its JSON text (DESIGN 4). */
export const maxPayloadBytes = 256 * 1024;
export const maxBatch = 1000;

/** Through more stations than this, wormholes and clusters alike, no event goes on (N-021). */
export const maxHops = 16;

export const typeShape = /^[a-z0-9-]+(\.[a-z0-9-]+)*$/;

export const eventType = z
  .string()
  .max(120)
  .regex(typeShape, 'must be an event type, such as shop.order.failed');

/** A whole type, or the beginning of one with a `*` behind it. */
export const typePattern = z
  .string()
  .max(120)
  .regex(
    /^(?:\*|[a-z0-9-]+(?:\.[a-z0-9-]+)*(?:\.?\*)?)$/,
    'must be an event type, or the beginning of one with a * behind it, such as squad.task.*',
  );

export const eventInputSchema = z.strictObject({
  id: z
    .string()
    .regex(/^[A-Za-z0-9_.:-]{1,100}$/)
    .optional(),
  type: eventType,
  source: z.strictObject({ type: z.enum(sourceTypes), id: z.string().min(1).max(200) }),
  destination: z.string().min(1).max(200).optional(),
  severity: z.enum(severities).default('info'),
  priority: z.enum(priorities).optional(),
  payload: z.record(z.string(), z.json()).default({}),
  metadata: z.record(z.string(), z.json()).default({}),
  correlationId: z.string().min(1).max(200).optional(),
  causationId: z.string().min(1).max(200).optional(),
  occurredAt: z.iso.datetime({ offset: true }).optional(),
  /** Recorded at once, handed to its subscribers from then on. */
  deliverAt: z.iso.datetime({ offset: true }).optional(),
});
export type EventInput = z.infer<typeof eventInputSchema>;

/** An event as code of this system states it; ids, times and order are given by the log. */
export type NewEvent = {
  id?: string;
  type: string;
  source: { type: SourceType; id: string };
  severity?: Severity;
  priority?: Priority;
  payload: JsonObject;
  correlationId?: string;
  causationId?: string;
};

/** What a consumer of the log sees; `tx` and `seq` together are its position. */
export type LoggedEvent = {
  id: string;
  tx: string;
  seq: string;
  type: string;
  sourceType: SourceType;
  sourceId: string;
  /** Whom it is for; empty means everybody (BUS-025). */
  destination: string | null;
  severity: Severity;
  priority: Priority;
  payload: JsonObject;
  metadata: JsonObject;
  correlationId: string | null;
  causationId: string | null;
  /** Wormholes and clusters it came through, oldest first (BUS-040). */
  path: string[];
  occurredAt: string;
  recordedAt: string;
  /** Not to be handed over before. */
  deliverAt: string | null;
};
