import { sql } from 'drizzle-orm';
import { isPermitted, type Principal } from '../domain/access.ts';
import { canonical } from '../domain/json.ts';
import type { Refusal } from '../domain/refusal.ts';
import { refuse } from '../domain/refusal.ts';
import { defaultTimeoutMs, type ExecutorBinding } from '../domain/task.ts';
import { foldDifferences } from '../domain/task-fold.ts';
import type { TaskDraft } from '../domain/wormhole-effect.ts';
import type { Db } from './client.ts';
import { derivedId, digest } from './ids.ts';
import { createTask, type NewTask } from './task-create.ts';
import { findOpenTask, foldProposal } from './task-fold.ts';
import { type NewResult, resultsWith } from './wormhole-results.ts';

/** What one wormhole proposes because of some events, all of one fingerprint. */
export type WormholeProposal = {
  wormhole: { id: string; version: number };
  /** Who wrote the wormhole: the proposal is theirs, so that they cannot approve it. */
  owner: Principal;
  draft: TaskDraft;
  eventIds: string[];
  replay: string;
  binding: ExecutorBinding;
};

export type ProposalEnd =
  | { status: 'proposed' | 'folded'; taskId: string }
  /** A kill switch does not allow proposals now. */
  | { status: 'held'; refusal: Refusal }
  | { status: 'refused'; refusal: Refusal };

const rounds = 5;
const evidenceAtOnce = 50;

/** Proposes a task, or joins the open one of its fingerprint; either way with the results of the events, once. */
export async function proposeFor(db: Db, proposal: WormholeProposal): Promise<ProposalEnd> {
  const first = await proposePart(db, { ...proposal, eventIds: proposal.eventIds.slice(0, evidenceAtOnce) });
  const rest = proposal.eventIds.slice(evidenceAtOnce);
  if (rest.length === 0 || first.status === 'held' || first.status === 'refused') return first;
  const second = await proposePart(db, { ...proposal, eventIds: rest });
  return second.status === 'folded' ? first : second;
}

async function proposePart(db: Db, proposal: WormholeProposal): Promise<ProposalEnd> {
  const { owner, draft, eventIds } = proposal;
  const key = digest(canonical([proposal.wormhole.id, proposal.replay, ...eventIds]));
  const task = newTask(proposal, derivedId('tsk', `wormhole:${key}`));
  for (let round = 0; round < rounds; round += 1) {
    const outcome = await createTask(db, task, {
      key: `wormhole.task:${key}`,
      actor: owner.id,
      also: [resultsWith(resultsOf(proposal, 'acted'), sql`changed.id`)],
    });
    if (outcome.status === 'held') return outcome;
    if (outcome.status !== 'unchanged') return { status: 'proposed', taskId: outcome.result.id };
    const open = await findOpenTask(db, draft.fingerprint);
    if (open === null) continue;
    if (!isPermitted(owner, 'tasks:write', open.target))
      return {
        status: 'refused',
        refusal: refuse('FORBIDDEN', 'The open task is out of the reach of the owner.'),
      };
    const differs = foldDifferences(open, task);
    const folded = await foldProposal(db, {
      ...{ open, risk: draft.risk, evidence: eventIds, differs, requestDigest: key },
      by: { id: owner.id, name: owner.name },
      opKey: `wormhole.fold:${key}`,
      also: [resultsWith(resultsOf(proposal, 'folded'), sql`changed.id`)],
    });
    if (folded.status !== 'unchanged') return { status: 'folded', taskId: folded.result.id };
  }
  throw new Error(`The open task of ${draft.fingerprint} changes all the time.`);
}

function newTask({ wormhole, owner, draft, eventIds, binding }: WormholeProposal, id: string): NewTask {
  return {
    ...draft,
    id,
    origin: 'wormhole',
    originId: wormhole.id,
    evidence: eventIds,
    requestedBy: owner.id,
    dispatchMode: 'manual',
    timeoutMs: defaultTimeoutMs,
    expiresInMs: null,
    binding,
  };
}

/** The first event of a new proposal made it; every other joined it. */
function resultsOf(proposal: WormholeProposal, outcome: 'acted' | 'folded'): NewResult[] {
  const { wormhole, draft, replay } = proposal;
  return proposal.eventIds.map((eventId, place) => {
    const isFirst = outcome === 'acted' && place === 0;
    const did = isFirst ? `proposed ${draft.type} for ${draft.target}` : 'joined the open proposal';
    return {
      ...{ wormhole: wormhole.id, version: wormhole.version, eventId, replay },
      outcome: isFirst ? 'acted' : 'folded',
      detail: { action: 'create-task', did, target: draft.target },
    };
  });
}
