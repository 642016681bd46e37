import type { StackConfig } from '../stack/config.ts';
import type { Log } from '../stack/log.ts';
import { decideTooLate, repairBySignal } from './by-signal.ts';
import { whatToLookAt } from './guide.ts';
import { repairWithApproval } from './repair.ts';
import { openStage, type Stage, type Started } from './stage.ts';
import { createSteps, type Play, type StepRecord } from './steps.ts';
import { findTheTrouble, setTheScene } from './story.ts';
import { createUntil, isRunning } from './watch.ts';

export type DemoInput = {
  config: StackConfig;
  log: Log;
  keep: boolean;
  /** Aborted when a person stops the demo, or when a part of it cannot be kept running. */
  ending: AbortController;
};

export type Summary = {
  ok: boolean;
  durationMs: number;
  steps: StepRecord[];
  /** Every process that was started; none of them runs any more. */
  stopped: Started[];
};

const totalSteps = 13;

/** Plays the whole story and stops everything again, whatever came of it. */
export async function playDemo({ config, log, keep, ending }: DemoInput): Promise<Summary> {
  const { play, records } = createSteps({ log, total: totalSteps });
  let stage: Stage | null = null;
  let stopped: Started[] = [];
  try {
    stage = await play('Postgres, Temporal, the API and the worker are up', async () => {
      const onFatal = (reason: Error): void => ending.abort(reason);
      const opened = await openStage({ config, log, signal: ending.signal, onFatal });
      return { ...opened, run: null };
    });
    log.info(`         API ${stage.stack.urls.docs}`);
    log.info(`         Temporal Web UI ${stage.stack.urls.temporalUi ?? '(not known)'}`);
    await tell(stage, play);
    log.info(whatToLookAt(stage, keep));
    if (keep) await isAborted(ending.signal);
  } catch (error) {
    const isSaid = records.at(-1)?.ok === false;
    if (!isSaid) throw error;
  } finally {
    if (stage !== null) stopped = await close(stage, play).catch((): Started[] => []);
  }
  return {
    ok: records.length === totalSteps && records.every((record) => record.ok),
    durationMs: records.reduce((sum, record) => sum + record.durationMs, 0),
    steps: records,
    stopped,
  };
}

async function tell(stage: Stage, play: Play): Promise<void> {
  const actors = await setTheScene(stage, play);
  const first = await findTheTrouble(stage, play, actors);
  await repairWithApproval(stage, play, actors, first);
  const second = await repairBySignal(stage, play, actors, first);
  await decideTooLate(stage, play, [first, second]);
}

async function close(stage: Stage, play: Play): Promise<Started[]> {
  const { started } = await play('everything that was started is stopped', async () => {
    const all = await stage.close();
    const until = createUntil(new AbortController().signal);
    for (const { name, pid } of all)
      await until(`${name} (process ${pid}) is gone`, async () => (isRunning(pid) ? null : true), 5000);
    return { started: all, run: null };
  });
  return started;
}

function isAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
