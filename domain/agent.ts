import type { Executor, TaskRole } from './task.ts';

/*
 * An agent: registered -> online <-> busy, online or busy -> offline when it goes silent, offline -> online at its next
 * sign of life, and any state -> disabled by a person.
 */
export const agentStates = ['registered', 'online', 'busy', 'draining', 'offline', 'disabled'] as const;
export type AgentState = (typeof agentStates)[number];

export type CommandConfig = {
  /** Program and arguments; no shell in between. */
  command: string[];
  cwd?: string;
  env?: Record<string, string>;
  /** Limit on the data memory of the process, MiB. */
  memoryMb?: number;
};
export type HttpConfig = {
  url: string;
  /** Private and loopback addresses are refused unless the person who registered the agent allowed them. */
  allowPrivateNetwork?: boolean;
};
export type TemporalConfig = {
  taskQueue: string;
  /** How long a task waits for a worker of this agent before it counts as failed. */
  pickupTimeoutMs?: number;
  /** Given only for agents that heartbeat: silence for this long ends the attempt as unknown. */
  heartbeatTimeoutMs?: number;
};
export type ExecutorConfig = CommandConfig | HttpConfig | TemporalConfig;

export type AgentCandidate = {
  id: string;
  name: string;
  role: TaskRole;
  capabilities: string[];
  executor: Executor;
  configVersion: number;
  state: AgentState;
};

function canDo(agent: AgentCandidate, taskType: string): boolean {
  return agent.capabilities.some((capability) =>
    capability.endsWith('*') ? taskType.startsWith(capability.slice(0, -1)) : capability === taskType,
  );
}

const preference: Record<AgentState, number> = {
  online: 0,
  registered: 1,
  busy: 2,
  offline: 3,
  draining: 4,
  disabled: 5,
};

/** A task goes to the readiest agent of its role that names its type as a capability; disabled agents get none. */
export function chooseAgent(
  agents: AgentCandidate[],
  task: { type: string; targetRole: TaskRole },
): AgentCandidate | null {
  const able = agents
    .filter((agent) => agent.state !== 'disabled' && agent.state !== 'draining')
    .filter((agent) => agent.role === task.targetRole && canDo(agent, task.type));
  able.sort((a, b) => preference[a.state] - preference[b.state] || (a.name < b.name ? -1 : 1));
  return able[0] ?? null;
}
