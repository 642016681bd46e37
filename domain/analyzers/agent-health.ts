import type { Point } from '../change-detection.ts';
import { failingOf } from './ended-tasks.ts';
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
  /** Its ended attempts by hour, oldest first; `failures` are those that failed. */
  series?: Point[];
  /** Events of its newest failures, newest first. */
  evidence?: string[];
};

/**
 * An agent marked offline, or silent for five minutes, is a high issue (LEDGER 1.2); one whose tasks fail is a medium one,
 * by the rule for squads: it works, and gives signs of life or needs none. A disabled one is meant to be silent.
 */
export function analyzeAgents(agents: AgentSnapshot[]): Issue[] {
  return agents
    .filter(({ state }) => state !== 'disabled')
    .flatMap((agent): Issue[] => {
      const issues: Issue[] = [];
      if (agent.beats && (agent.state === 'offline' || agent.silentForMs >= silentAfterMs))
        issues.push(issueOf(agent, agent.agentId, 'high', silence(agent)));
      const failing = failingOf(agent.series ?? []);
      if (failing !== null) {
        const { title, observed, sinceMs } = failing;
        issues.push({
          ...issueOf(agent, `${agent.agentId}:failing`, 'medium', title),
          ...{ observed, evidence: agent.evidence ?? [] },
          ...(sinceMs === undefined ? {} : { sinceMs }),
        });
      }
      return issues;
    });
}

function silence({ state, silentForMs }: AgentSnapshot): string {
  return state === 'offline'
    ? 'marked offline'
    : `no sign of life for ${Math.floor(silentForMs / 60_000)} minutes`;
}

function issueOf(
  { agentId, name, owner }: AgentSnapshot,
  key: string,
  severity: Issue['severity'],
  title: string,
): Issue {
  return {
    key,
    analyzer: 'agent-health',
    entityKind: 'agent',
    entityId: agentId,
    entityName: name,
    severity,
    title,
    subject: { agentId, name },
    owner,
    evidence: [],
  };
}
