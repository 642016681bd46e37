import { setTimeout as wait } from 'node:timers/promises';
import { StackError, errorText } from './error.ts';
import { describeExit, type Exit } from './process.ts';
import type { Log } from './log.ts';

export type Running = {
  pid: number;
  exited: Promise<Exit>;
  lastLines: () => string;
  kill: (signal: NodeJS.Signals) => void;
};

export type Supervised<T extends Running> = {
  /** The one that runs now, or ran last. */
  current: () => T;
  restarts: () => number;
  /** Ends the supervision, then stops what runs as `stop` says. */
  end: (stop: (running: T) => Promise<unknown>) => Promise<void>;
  /** Ends the supervision and what runs, without asking it first. */
  kill: (signal: NodeJS.Signals) => Promise<unknown>;
};

export type SuperviseInput<T extends Running> = {
  name: string;
  log: Log;
  /** The signal says that nothing is wanted any more: end what was begun and throw. */
  start: (signal: AbortSignal) => Promise<T>;
  /** How often the very first start may fail. */
  firstTries: number;
  restart?: boolean;
  onFatal: (reason: StackError) => void;
  /** Ends the supervision from outside, like `end`, but leaves what runs to be stopped there. */
  signal?: AbortSignal;
};

const fastDeathMs = 1000;
const goodLifeMs = 10_000;
const longestDelayMs = 10_000;
const deathsAllowed = 5;

function delayBefore(deaths: number): number {
  return deaths <= 1 ? 0 : Math.min(500 * 2 ** (deaths - 2), longestDelayMs);
}

// States: starting -> running -> (dead -> starting)* -> ended. `deaths` sets the wait before the next start and
// begins anew after a good life; five deaths in a row at a start, or a start that is hopeless, end it for good.
export async function supervise<T extends Running>(input: SuperviseInput<T>): Promise<Supervised<T>> {
  const { name, log, onFatal } = input;
  const ended = new AbortController();
  const ending = input.signal ? AbortSignal.any([input.signal, ended.signal]) : ended.signal;
  let deaths = 0;
  let atStart = 0;
  let restarts = 0;

  async function startUntil(tries: number, isFirst: boolean): Promise<T> {
    for (;;) {
      try {
        return await input.start(ending);
      } catch (error) {
        deaths += 1;
        atStart += 1;
        // At a first start a reader is there to mend it; later it may be a moment's trouble, such as a port not free yet.
        const isHopeless = isFirst && error instanceof StackError;
        if (ending.aborted || isHopeless) throw error;
        if (atStart >= tries) throw new StackError(`${name} could not be started: ${errorText(error)}`);
        log.warn(`${name} did not start (${errorText(error).split('\n')[0]}); trying again`);
        await wait(delayBefore(deaths), undefined, { signal: ending });
      }
    }
  }

  let running = await startUntil(input.firstTries, true);
  deaths = 0;
  atStart = 0;

  async function watch(): Promise<void> {
    for (;;) {
      const since = Date.now();
      const exit = await running.exited;
      if (ending.aborted) return;
      const life = Date.now() - since;
      deaths = life < goodLifeMs ? deaths + 1 : 1;
      atStart = life < fastDeathMs ? atStart + 1 : 0;
      const what = `${name} stopped by itself (${describeExit(exit)})`;
      if (input.restart === false || atStart >= deathsAllowed) {
        const times = atStart > 1 ? `, ${atStart} times in a row` : '';
        throw new StackError(`${what}${times}. Its last lines:\n${running.lastLines()}`);
      }
      log.warn(`${what}; starting it again`);
      await wait(delayBefore(deaths), undefined, { signal: ending });
      running = await startUntil(deathsAllowed, false);
      restarts += 1;
      if (!ending.aborted) log.info(`${name} is running again`);
    }
  }

  const watching = watch().catch((error: unknown) => {
    if (ending.aborted) return;
    onFatal(error instanceof StackError ? error : new StackError(`${name}: ${errorText(error)}`));
  });

  return {
    current: () => running,
    restarts: () => restarts,
    kill: (signal) => {
      ended.abort();
      running.kill(signal);
      return running.exited;
    },
    end: async (stop) => {
      ended.abort();
      await stop(running);
      await watching;
      // A restart that was already under way when the end came leaves a newer one behind.
      await stop(running);
    },
  };
}
