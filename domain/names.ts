/** Wire names shared by workers, workflows, API and stack. Renaming one strands running work. */

export const taskQueues = {
  /** Workflows and their short database activities. */
  main: 'dreamnet',
  /** Executors: commands and HTTP calls that heartbeat for minutes. */
  effects: 'dreamnet-effects',
  /** Subscription consumers, one long activity each. */
  bus: 'dreamnet-bus',
} as const;

/** Keyword search attributes of every run, registered at server start. */
export const searchAttributes = {
  kind: 'DreamKind',
  entity: 'DreamEntity',
  state: 'DreamState',
  severity: 'DreamSeverity',
  subsystem: 'DreamSubsystem',
} as const;

/**
 * How long a worker may keep a workflow task. The server hands a task to the poll of a worker that was just killed; with
 * the default of 10 s every decision for its runs would wait that long.
 */
export const workflowTaskTimeoutMs = 3_000;

export type RunDescription = {
  /** One line for a person in the Web UI. */
  summary: string;
  kind: string;
  entity: string;
  state: string;
  severity: string;
  subsystem: string;
};

/** The search attributes a run starts with, by their names in Temporal. */
export function runAttributes(run: RunDescription): Record<string, string> {
  return {
    [searchAttributes.kind]: run.kind,
    [searchAttributes.entity]: run.entity,
    [searchAttributes.state]: run.state,
    [searchAttributes.severity]: run.severity,
    [searchAttributes.subsystem]: run.subsystem,
  };
}

/** A run's one line, short enough for the server's limit of 400 bytes in any script. */
export function runSummary(run: RunDescription): string {
  return run.summary.slice(0, 100);
}

/** Names of the messages runs understand: wire format, like workflow and activity names. */
export const messageNames = {
  approval: 'approval',
  decide: 'decide',
  dispatch: 'dispatch',
  cancel: 'cancel',
  hold: 'hold',
  release: 'release',
  superseded: 'superseded',
  taskState: 'taskState',
  haloTrigger: 'trigger',
  haloRequest: 'requestCycle',
  haloPause: 'setPaused',
  haloState: 'loopState',
  cycleState: 'cycleState',
  pause: 'pause',
  resume: 'resume',
  rewind: 'rewind',
  subscriptionState: 'subscriptionState',
  redriveCancelled: 'redriveCancelled',
  redriveProgress: 'redriveProgress',
  replayState: 'replayState',
} as const;

export const haloWorkflowId = 'halo';

/** The first run of a task is `task/<id>`; each retry is a run of its own, `task/<id>/<run>`. */
export function taskWorkflowId(taskId: string, run: number): string {
  return run === 1 ? `task/${taskId}` : `task/${taskId}/${run}`;
}

export function haloCycleWorkflowId(cycleId: string): string {
  return `halo-cycle/${cycleId}`;
}

export function probeWorkflowId(probeId: string, occurrence: string): string {
  return `probe/${probeId}/${occurrence}`;
}

export function probeScheduleId(probeId: string): string {
  return `probe-schedule/${probeId}`;
}

/** The schedule that signs heads of the audit, and the beginning of the ids of its runs. */
export const auditAnchorId = 'audit-anchor';

/** The schedule that removes events nobody keeps any more, and the beginning of the ids of its runs. */
export const retentionId = 'retention';

/** The schedule that lets HALO look each few minutes (LEDGER 1.2), and the beginning of the ids of its runs. */
export const haloTimerId = 'halo-time';

export function subscriptionWorkflowId(key: string): string {
  return `subscription/${key}`;
}

export function redriveWorkflowId(redriveId: string): string {
  return `redrive/${redriveId}`;
}

export function notificationWorkflowId(notificationId: string): string {
  return `notification/${notificationId}`;
}

export function replayWorkflowId(replayId: string): string {
  return `replay/${replayId}`;
}
