import {
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { RedriveActivities } from '../activities/redrives.ts';
import {
  countsOf,
  describeRedrive,
  nextRedriveStep,
  noneRedriven,
  pollAfterMs,
  type RedriveProgress,
} from '../domain/redrive.ts';
import { stateAttribute } from './describe-run.ts';
import type { RedriveInput } from './inputs.ts';
import { redriveCancelledSignal, redriveProgressQuery } from './messages.ts';

const { lookAtRedrive, releaseItems, endRedrive } = proxyLocalActivities<RedriveActivities>({
  startToCloseTimeout: '30s',
  retry: { initialInterval: '200ms', maximumInterval: '10s' },
});

/** About ten events each: a run stays far below the size at which the server suggests a new one. */
const looksPerRun = 200;

/** Hands dead letters over again: a canary, then the others so many a minute, until all have ended or too many fail. */
export async function redrive(input: RedriveInput): Promise<RedriveProgress> {
  const { redriveId } = input;
  const { runId } = workflowInfo();
  let progress: RedriveProgress | null = null;
  let isAsked = false;
  setHandler(redriveCancelledSignal, () => {
    isAsked = true;
  });
  setHandler(redriveProgressQuery, () => progress);

  function show(seen: RedriveProgress, waitsFor: string): void {
    if (progress?.state !== seen.state) upsertSearchAttributes([{ key: stateAttribute, value: seen.state }]);
    progress = seen;
    setCurrentDetails(
      waitsFor === '' ? describeRedrive(seen) : `${describeRedrive(seen)}\n\nwaits for ${waitsFor}`,
    );
  }

  try {
    let polls = 0;
    for (let looks = 0; looks < looksPerRun; looks += 1) {
      isAsked = false;
      const seen = await lookAtRedrive({ redriveId, runId });
      const step = nextRedriveStep(seen);
      show(seen, step.do === 'wait' ? step.because : '');
      if (step.do === 'return') return seen;
      if (step.do === 'wait') {
        await condition(() => isAsked, pollAfterMs(polls));
        polls += 1;
      } else if (step.do === 'release') {
        const handled = seen.released + seen.completed + seen.failed + seen.leftOut;
        await releaseItems({ redriveId, count: step.count, canary: step.canary, handled });
        await condition(() => isAsked, step.restMs);
        polls = 0;
      } else {
        const end = { state: step.state, because: step.because };
        await endRedrive({ redriveId, end, counts: countsOf(seen) });
      }
    }
  } catch (error) {
    if (!isCancellation(error)) throw error;
    const end = { state: 'cancelled', because: 'The run was cancelled in Temporal.' } as const;
    await CancellationScope.nonCancellable(() =>
      endRedrive({ redriveId, end, counts: countsOf(progress ?? noneRedriven) }),
    );
    throw error;
  }
  return continueAsNew<typeof redrive>(input);
}
