import { listCandidates } from '../db/agents.ts';
import type { Database, Db } from '../db/client.ts';
import {
  beginCycle,
  beginLearning,
  beginProposing,
  type CycleFindings,
  failCycle,
  finishCycle,
  type NewCycle,
  recordIssues,
  recordLearningError,
  recordLeftOut,
} from '../db/halo.ts';
import { derivedId } from '../db/ids.ts';
import { watchedTargets } from '../db/repairs.ts';
import { grantStanding } from '../db/standing-approval.ts';
import { type CreatedTask, createTask } from '../db/task-create.ts';
import { attachEvidence } from '../db/task-fold.ts';
import { chooseAgent } from '../domain/agent.ts';
import { type AnalyzerName, type Issue, worstFirst } from '../domain/analyzers/issue.ts';
import type { HaloLimits } from '../domain/halo-loop.ts';
import { type LeftOut, type Proposal, watchForMs } from '../domain/plan.ts';
import type { Refusal } from '../domain/refusal.ts';
import { defaultTimeoutMs } from '../domain/task.ts';
import { createAnalyzers, type Look } from './halo-analyzers.ts';
import { type Pause, provePause } from './halo-pause.ts';
import { nothingWatched, type Watched } from './watched.ts';

export type HaloActivities = ReturnType<typeof createHaloActivities>;

export type ProposedTask = CreatedTask & Pick<Proposal, 'title' | 'target' | 'severity'>;

export type CyclePlan = {
  cycleId: string;
  proposals: Proposal[];
  /** What has to settle first. */
  unripe?: LeftOut[];
  /** A person asked for the cycle, and is answered at once. */
  isAsked?: boolean;
};

/** A repair shows what it did before its target is proposed for again, unless a person asks. */
async function leaveWatched(
  db: Db,
  { proposals, isAsked = false }: CyclePlan,
): Promise<{ toPropose: Proposal[]; watched: LeftOut[] }> {
  if (isAsked) return { toPropose: proposals, watched: [] };
  const targets = proposals.map(({ target }) => target);
  const repaired = await watchedTargets(db, targets, watchForMs);
  const watched = proposals.flatMap(({ title, target }) => {
    const at = repaired.get(target);
    if (at === undefined) return [];
    const until = new Date(at.getTime() + watchForMs).toISOString();
    return [{ title, target, because: `its last repair is being watched for what it did, until ${until}` }];
  });
  return { toPropose: proposals.filter(({ target }) => !repaired.has(target)), watched };
}

/** HALO's eyes and hands: analyzers read the record, proposals become tasks that wait for a person. */
export function createHaloActivities({
  database,
  limits,
  watched = nothingWatched,
}: {
  database: Database;
  limits: HaloLimits;
  watched?: Watched;
}) {
  const { db } = database;

  const analyze = createAnalyzers({ database, watched });

  return {
    readHaloLimits(): Promise<HaloLimits> {
      return Promise.resolve(limits);
    },

    /** Null once it is recorded. */
    recordPause(input: Pause): Promise<Refusal | null> {
      return provePause(db, input);
    },

    beginCycle(input: NewCycle) {
      return beginCycle(db, input);
    },

    async runAnalyzer(input: { cycleId: string; analyzer: AnalyzerName }): Promise<Issue[]> {
      return worstFirst((await analyze[input.analyzer](input.cycleId)).issues);
    },

    /** One analyzer's look, with how long it took. */
    async examine(input: { cycleId: string; analyzer: AnalyzerName }): Promise<Look & { tookMs: number }> {
      const startedAt = performance.now();
      const look = await analyze[input.analyzer](input.cycleId);
      const tookMs = Math.round(performance.now() - startedAt);
      return { ...look, issues: worstFirst(look.issues), tookMs };
    },

    recordIssues(input: CycleFindings) {
      return recordIssues(db, input);
    },

    /** Creates the tasks that are new; a finding whose fix target has an open task only adds its evidence. */
    async proposeTasks(input: CyclePlan): Promise<ProposedTask[]> {
      await beginProposing(db, input.cycleId);
      const candidates = await listCandidates(db);
      const created: ProposedTask[] = [];
      const leftOut: LeftOut[] = [...(input.unripe ?? [])];
      const { toPropose, watched } = await leaveWatched(db, input);
      leftOut.push(...watched);
      for (const proposal of toPropose) {
        const agent = chooseAgent(candidates, proposal);
        const { weakPointId, ...content } = proposal;
        const outcome = await createTask(
          db,
          {
            ...content,
            id: derivedId('tsk', `${input.cycleId}|${proposal.fingerprint}`),
            origin: 'halo',
            originId: input.cycleId,
            dispatchMode: 'manual',
            timeoutMs: defaultTimeoutMs,
            expiresInMs: null,
            binding:
              agent === null
                ? null
                : { agentId: agent.id, executor: agent.executor, configVersion: agent.configVersion },
          },
          { key: `halo.propose:${input.cycleId}:${weakPointId}`, actor: 'halo' },
        );
        const { title, target, severity } = proposal;
        if (outcome.status === 'changed' || outcome.status === 'repeated') {
          const standing = await grantStanding(db, outcome.result.id);
          created.push({ ...outcome.result, ...standing, title, target, severity });
        } else await attachEvidence(db, { ...proposal, cycleId: input.cycleId });
        if (outcome.status === 'held') leftOut.push({ title, target, because: outcome.refusal.message });
      }
      if (leftOut.length > 0) await recordLeftOut(db, { cycleId: input.cycleId, leftOut });
      return created;
    },

    beginLearning(input: { cycleId: string }) {
      return beginLearning(db, input.cycleId);
    },

    recordLearningError(input: { cycleId: string; step: string; message: string }) {
      return recordLearningError(db, input);
    },

    finishCycle(input: { cycleId: string; taskIds: string[]; weakPoints: number }) {
      return finishCycle(db, input);
    },

    failCycle(input: { cycleId: string; error: string }) {
      return failCycle(db, input);
    },
  };
}
