import type { Issue } from './issue.ts';

/** An agent silent for longer than this is taken for offline (LEDGER 5.6). */
export const silentAfterMs = 5 * 60_000;

export type AgentSnapshot = {
  agentId: string;
  name: string;
  owner: string;
  state: string;
  /** Only agents that run as a process of their own give signs of life. */
  beats: boolean;
  silentForMs: number;
};

/** An agent marked offline, or silent for five minutes, is a high issue; a disabled one is meant to be silent. */
export function analyzeAgents(agents: AgentSnapshot[]): Issue[] {
  return agents
    .filter((agent) => agent.beats && agent.state !== 'disabled')
    .filter((agent) => agent.state === 'offline' || agent.silentForMs >= silentAfterMs)
    .map((agent) => ({
      key: agent.agentId,
      analyzer: 'agent-health',
      entityKind: 'agent',
      entityId: agent.agentId,
      entityName: agent.name,
      severity: 'high',
      title:
        agent.state === 'offline'
          ? 'marked offline'
          : `no sign of life for ${Math.floor(agent.silentForMs / 60_000)} minutes`,
      subject: { agentId: agent.agentId, name: agent.name },
      owner: agent.owner,
      evidence: [],
    }));
}
