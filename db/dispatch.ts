import type { Waiting } from '../domain/approval.ts';
import type { ExecutorConfig, TemporalConfig } from '../domain/agent.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Refusal } from '../domain/refusal.ts';
import type { Executor } from '../domain/task.ts';
import type { TaskRow } from './tasks.ts';

/** What a workflow needs to hand the work to an executor; the executor's configuration stays in the record. */
export type Dispatch = {
  dispatched: true;
  key: string;
  attempt: number;
  /** The kill switch epoch the attempt began under; results of earlier releases have none. */
  epoch?: number;
  agentId: string;
  agentName: string;
  executor: Executor;
  taskQueue: string | null;
  pickupTimeoutMs: number;
  heartbeatTimeoutMs: number | null;
  timeoutMs: number;
  task: { id: string; type: string; target: string; payload: JsonObject };
};
/** The content moved since the approval: it is void, and a new one is open. */
export type Voided = Waiting & {
  dispatched: false;
  voided: true;
  approvalId: string;
  because: string;
};
/**
 * `parked`: nobody has to ask again, the run is told when to. `waits`: for its time, for what it depends on or for a place;
 * otherwise a kill switch holds it.
 */
export type DispatchRefused = { dispatched: false; voided: false; parked?: true; waits?: true } & Refusal;
export type DispatchOutcome = Dispatch | Voided | DispatchRefused;

export type AgentOfTask = { id: string; name: string; executor: Executor; config: ExecutorConfig };

const defaultPickupTimeoutMs = 10 * 60_000;

export function toDispatch(
  task: TaskRow,
  agent: AgentOfTask,
  begun: { attempt: number; epoch?: number },
): Dispatch {
  const temporal = agent.executor === 'temporal' ? (agent.config as TemporalConfig) : null;
  return {
    dispatched: true,
    key: `${task.id}:${begun.attempt}`,
    attempt: begun.attempt,
    epoch: begun.epoch ?? 0,
    agentId: agent.id,
    agentName: agent.name,
    executor: agent.executor,
    taskQueue: temporal?.taskQueue ?? null,
    pickupTimeoutMs: temporal?.pickupTimeoutMs ?? defaultPickupTimeoutMs,
    heartbeatTimeoutMs: temporal?.heartbeatTimeoutMs ?? null,
    timeoutMs: task.timeoutMs,
    task: { id: task.id, type: task.type, target: task.target, payload: task.payload },
  };
}
