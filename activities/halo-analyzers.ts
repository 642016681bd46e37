import { agentSnapshots, markSilentAgents } from '../db/agents.ts';
import type { Database } from '../db/client.ts';
import { endpointSnapshots } from '../db/probes.ts';
import { analyzeAgents } from '../domain/analyzers/agent-health.ts';
import { analyzeEndpoints } from '../domain/analyzers/endpoint-health.ts';
import type { AnalyzerName, Issue } from '../domain/analyzers/issue.ts';

export type Analyze = (cycleId: string) => Promise<Issue[]>;

/** Each analyzer reads one snapshot of the system, and judges it by a pure rule. */
export function createAnalyzers({ database }: { database: Database }): Record<AnalyzerName, Analyze> {
  const { db } = database;
  return {
    'endpoint-health': async () => analyzeEndpoints(await endpointSnapshots(db)),
    'agent-health': async (cycleId) => {
      await markSilentAgents(db, `agent.silent:${cycleId}`);
      return analyzeAgents(await agentSnapshots(db));
    },
    'squad-efficiency': () => Promise.resolve([]),
    environment: () => Promise.resolve([]),
    'swarm-patrol': () => Promise.resolve([]),
  };
}
