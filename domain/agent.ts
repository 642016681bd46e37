import { pathFigures } from './task-path.ts';
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
  /** Tasks it runs now, and how many it may run at once. */
  running: number;
  maxConcurrency: number;
  /** Strength of its paths now, by task type. */
  paths: Record<string, number>;
  /** Its role in each squad it is a member of. */
  squads: Record<string, TaskRole>;
};

export const defaultMaxConcurrency = 10;
export const maxMaxConcurrency = 1000;

export type Wanted = { type: string; targetRole: TaskRole; squad?: string | null };

/** Why an agent stands where it does in the choice for a task. */
export type AgentStanding = {
  agentId: string;
  name: string;
  state: AgentState;
  inSquad: boolean;
  running: number;
  maxConcurrency: number;
  /** Its path to this type of work, and that with what its role adds. */
  path: number;
  score: number;
};
export type AgentChoice = { because: string; standings: AgentStanding[] };

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

function roleInSquad({ squads }: AgentCandidate, { squad = null }: Wanted): TaskRole | null {
  return squad === null ? null : (squads[squad] ?? null);
}

function standingFor(agent: AgentCandidate, task: Wanted): AgentStanding {
  const path = agent.paths[task.type] ?? 0;
  return {
    agentId: agent.id,
    name: agent.name,
    state: agent.state,
    inSquad: roleInSquad(agent, task) !== null,
    running: agent.running,
    maxConcurrency: agent.maxConcurrency,
    path,
    score: path + (agent.role === task.targetRole ? pathFigures.roleMatch : 0),
  };
}

const load = ({ running, maxConcurrency }: AgentStanding): number => running / maxConcurrency;

/**
 * Who could take a task, best first: agents that name its type as a capability and have its role, of their own or in its
 * squad; disabled and draining ones get none. Members of its squad go first, then the readiest, the least loaded, the one
 * with the strongest path (a matching role adds 0.2, LEDGER 1.2), and the first by name.
 */
export function rankAgents(agents: AgentCandidate[], task: Wanted): AgentStanding[] {
  return agents
    .filter((agent) => agent.state !== 'disabled' && agent.state !== 'draining' && canDo(agent, task.type))
    .filter((agent) => agent.role === task.targetRole || roleInSquad(agent, task) === task.targetRole)
    .map((agent) => standingFor(agent, task))
    .sort(
      (a, b) =>
        Number(b.inSquad) - Number(a.inSquad) ||
        preference[a.state] - preference[b.state] ||
        load(a) - load(b) ||
        b.score - a.score ||
        (a.name < b.name ? -1 : 1),
    );
}

/** A task goes to the first of those who could take it; to nobody where there is none. */
export function chooseAgent(agents: AgentCandidate[], task: Wanted): AgentCandidate | null {
  const first = rankAgents(agents, task)[0];
  return agents.find(({ id }) => id === first?.agentId) ?? null;
}

const shownStandings = 5;

/** A choice says in words what decided it, and shows the figures of the best. */
export function explainChoice(agents: AgentCandidate[], task: Wanted): AgentChoice | null {
  const ranked = rankAgents(agents, task);
  const [first, second] = ranked;
  if (first === undefined) return null;
  return {
    because: `${first.name}: ${second === undefined ? 'the only one that can take it' : `${whatDecided(first, second)} than ${second.name}`}`,
    standings: ranked.slice(0, shownStandings),
  };
}

function whatDecided(first: AgentStanding, second: AgentStanding): string {
  if (first.inSquad !== second.inSquad) return 'of the squad of the task, rather';
  if (preference[first.state] !== preference[second.state])
    return `readier (${first.state}, not ${second.state})`;
  if (load(first) !== load(second))
    return `less loaded (${first.running} of ${first.maxConcurrency}, not ${second.running} of ${second.maxConcurrency})`;
  if (first.score !== second.score)
    return `a stronger path to this type of work (${first.score.toFixed(2)}, not ${second.score.toFixed(2)})`;
  return 'equal, and earlier by name';
}
