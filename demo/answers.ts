/** The parts of the API's answers that the story looks at; /docs of a running stack shows them whole. */
export type Run = { workflowId: string; runId: string | null; url: string };
/** With the link to the run behind it. */
export type Seen<T> = T & { run: string };
export type Page<T> = { items: T[] };

export type Probe = { id: string; scheduleId: string | null };
export type ProbeRun = { ok: boolean | null; eventId: string | null; failures: string[]; temporal: Run };

export type Agent = { id: string; state: string };
export type NewAgent = { agent: Agent; key: string };

export type LoggedEvent = { id: string; type: string; payload: Record<string, unknown> };

export type Cycle = {
  id: string;
  state: string;
  trigger: { manual: number; event: number; eventIds: string[] };
  weakPoints: { id: string }[];
  taskIds: string[];
  temporal: Run;
};

export type Approval = {
  id: string;
  taskId: string;
  state: string;
  digest: string;
  requestedBy: { id: string };
  votes: { principalId: string; decision: string; at: string }[];
  allowedActions: string[];
  temporal: Run;
};

export type Task = {
  id: string;
  type: string;
  state: string;
  origin: string;
  agentId: string | null;
  approvalId: string;
  evidence: string[];
  result: { pid?: number; before?: number } | null;
  error: string | null;
  temporal: Run;
};
export type TaskAnswer = { task: Task; attempts: { key: string; state: string }[] };

export type Ticket = { workflowId: string; signal: { name: string; input: { ticket: string } } };
