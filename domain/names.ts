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

export function subscriptionWorkflowId(key: string): string {
  return `subscription/${key}`;
}
