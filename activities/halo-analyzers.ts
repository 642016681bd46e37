import { agentSnapshots, markSilentAgents } from '../db/agents.ts';
import type { Database } from '../db/client.ts';
import { endpointSnapshots } from '../db/endpoint-series.ts';
import { squadSnapshots } from '../db/squad-series.ts';
import { analyzeAgents } from '../domain/analyzers/agent-health.ts';
import { analyzeEndpointLook } from '../domain/analyzers/endpoint-health.ts';
import type { AnalyzerName, Issue } from '../domain/analyzers/issue.ts';
import { analyzeSquads } from '../domain/analyzers/squad-efficiency.ts';

export type Analyze = (cycleId: string) => Promise<Issue[]>;

/** Each analyzer reads one snapshot of the system, and judges it by a pure rule. */
export function createAnalyzers({ database }: { database: Database }): Record<AnalyzerName, Analyze> {
  const { db } = database;
  return {
    'endpoint-health': async () => analyzeEndpointLook(await endpointSnapshots(db)),
    'agent-health': async (cycleId) => {
      await markSilentAgents(db, `agent.silent:${cycleId}`);
      return analyzeAgents(await agentSnapshots(db));
    },
    'squad-efficiency': async () => analyzeSquads(await squadSnapshots(db)),
    environment: () => Promise.resolve([]),
    'swarm-patrol': () => Promise.resolve([]),
  };
}
