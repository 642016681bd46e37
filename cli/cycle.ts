import { visible } from './escape.ts';
import type { Exit } from './exits.ts';
import { linkLine } from './format.ts';
import { pathId } from './ids.ts';
import { facts } from './output.ts';
import { describeIssue } from './halo-issue.ts';
import { CliError, localError } from './problem.ts';
import { bodyOf, type Session, show } from './session.ts';
import { pause } from './stop.ts';
import type { Reply } from './http.ts';
import type { Cycle } from './halo-views.ts';

const lookEveryMs = 500;

/** Shows one cycle; one that failed is not a success of the command. */
export async function describeCycle(session: Session, id: string): Promise<Exit> {
  const reply = await session.api.get(`/v1/halo/cycles/${pathId(id)}`);
  showCycle(session, reply);
  return 'ok';
}

/** Waits until a cycle has ended; it has no record before the loop starts it. */
export async function waitForCycle(session: Session, id: string, seconds: number): Promise<Exit> {
  const until = performance.now() + seconds * 1000;
  const done = session.out.waiting(`waiting for cycle ${id}; the loop may be paused or cooling down`);
  try {
    for (;;) {
      const reply = await readCycle(session, id);
      const state = reply === null ? null : bodyOf<Cycle>(reply).state;
      if (reply !== null && (state === 'completed' || state === 'failed')) {
        showCycle(session, reply);
        return state === 'completed' ? 'ok' : 'unexpected';
      }
      if (performance.now() > until)
        throw localError(
          'unavailable',
          `Cycle ${id} has not ended within ${seconds} seconds.`,
          `Look again: dreamnet halo cycles ${id}. Is the loop paused? dreamnet halo status`,
        );
      await pause(lookEveryMs, session.stop);
      session.stop.throwIfAborted();
    }
  } finally {
    done();
  }
}

async function readCycle(session: Session, id: string): Promise<Reply | null> {
  try {
    return await session.api.get(`/v1/halo/cycles/${pathId(id)}`);
  } catch (error) {
    if (error instanceof CliError && error.exit === 'notFound') return null;
    throw error;
  }
}

function describeWork(cycle: Cycle): string[] {
  const { analyses = [], incidents = [], learningErrors = [], leftOut = [] } = cycle;
  const proposals = new Map((cycle.proposals ?? []).map((proposal) => [proposal.taskId, proposal]));
  return [
    ...analyses.map(
      ({ analyzer, state, tookMs, issues }) =>
        `analyzer    ${analyzer}: ${state}, ${issues} issues in ${tookMs} ms`,
    ),
    ...incidents.map(
      ({ root, name, members, because }) =>
        `incident    ${name} (${root}) with ${members.length} more: ${because}`,
    ),
    ...cycle.taskIds.map((id) => {
      const known = proposals.get(id);
      if (known === undefined) return `proposed    ${id}`;
      const reach = known.blastRadius === 0 ? '' : `, reaches ${known.blastRadius} more`;
      return `proposed    ${id}  ${known.state}  ${known.title} (${known.risk}${reach})`;
    }),
    ...leftOut.map(({ title, because }) => `left out    ${title}: ${because}`),
    ...learningErrors.map((error) => `not learned ${error}`),
  ].map(visible);
}

function showCycle(session: Session, reply: Reply): void {
  const cycle = bodyOf<Cycle>(reply);
  show(session, reply, () => [
    ...facts(session.out, [
      ['cycle', cycle.id],
      ['state', cycle.state],
      ['mode', cycle.mode],
      ['insights used', cycle.insightsUsed.join(', ') || null],
      ['error', cycle.error],
    ]),
    ...cycle.weakPoints.map((point) => visible(`weak point  ${point.severity.padEnd(8)}  ${point.title}`)),
    ...(cycle.issues ?? []).flatMap(describeIssue),
    ...describeWork(cycle),
    ...(cycle.superseded ?? []).map(({ taskId, state, because }) =>
      visible(`superseded  ${taskId}  ${state}  ${because}`),
    ),
    linkLine(session.out, cycle.temporal),
  ]);
}
