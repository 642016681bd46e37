import { agentSeries } from '../db/agent-series.ts';
import { agentSnapshots, markSilentAgents } from '../db/agents.ts';
import type { Database } from '../db/client.ts';
import { endpointSnapshots } from '../db/endpoint-series.ts';
import { getPrincipal } from '../db/principals.ts';
import { squadSnapshots } from '../db/squad-series.ts';
import { analyzeAgents } from '../domain/analyzers/agent-health.ts';
import type { Check } from '../domain/analyzers/check.ts';
import { analyzeEndpointLook } from '../domain/analyzers/endpoint-health.ts';
import { checkEnvironment } from '../domain/analyzers/environment.ts';
import type { AnalyzerName, Issue } from '../domain/analyzers/issue.ts';
import { analyzeSquads } from '../domain/analyzers/squad-efficiency.ts';
import { patrol } from '../domain/analyzers/swarm-patrol.ts';
import { lookAround } from './patrol.ts';
import type { Watched } from './watched.ts';
import { readEnvFile } from './watched-files.ts';

/** What one analyzer found, and how the checks stand that it made. */
export type Look = { issues: Issue[]; checks?: Check[] };
export type Analyze = (cycleId: string) => Promise<Look>;

/** Each analyzer reads one snapshot of the system, and judges it by a pure rule. */
export function createAnalyzers({
  database,
  watched,
}: {
  database: Database;
  watched: Watched;
}): Record<AnalyzerName, Analyze> {
  const { db } = database;

  /** Nobody, when who is named is not there (any more): a task could not be asked for in that name. */
  async function owner(): Promise<string> {
    if (watched.owner === null) return '';
    const principal = await getPrincipal(db, watched.owner);
    return principal?.status === 'active' ? principal.id : '';
  }

  return {
    'endpoint-health': async () => ({ issues: analyzeEndpointLook(await endpointSnapshots(db)) }),
    'agent-health': async (cycleId) => {
      await markSilentAgents(db, `agent.silent:${cycleId}`);
      const [agents, series] = await Promise.all([agentSnapshots(db), agentSeries(db)]);
      return { issues: analyzeAgents(agents.map((agent) => ({ ...agent, ...series.get(agent.agentId) }))) };
    },
    'squad-efficiency': async () => ({ issues: analyzeSquads(await squadSnapshots(db)) }),
    environment: async () => {
      const files = await Promise.all(watched.envFiles.map(readEnvFile));
      return checkEnvironment(files, await owner());
    },
    'swarm-patrol': async () => patrol(await lookAround(watched, { nowMs: Date.now() }), await owner()),
  };
}
