import { withProgress, type Log } from '../stack/log.ts';

export type StepRecord = {
  name: string;
  ok: boolean;
  durationMs: number;
  /** Link to the run behind the step. */
  run: string | null;
  error?: string;
};

export type Found = { run: string | null };

/** Plays one step: its work throws when the world is not as the step says. */
export type Play = <T extends Found>(name: string, work: () => Promise<T>) => Promise<T>;

export type Steps = { play: Play; records: StepRecord[] };

const nameWidth = 54;

export function createSteps({ log, total }: { log: Log; total: number }): Steps {
  const records: StepRecord[] = [];

  function print(record: StepRecord): void {
    const place = `${records.length}/${total}`.padStart(5);
    const time = `${(record.durationMs / 1000).toFixed(1)} s`.padStart(7);
    const end = record.ok ? (record.run ?? '') : (record.error ?? '');
    log.info(`${record.ok ? '✓' : '✗'} ${place}  ${record.name.padEnd(nameWidth)} ${time}  ${end}`.trimEnd());
  }

  return {
    records,
    play: async (name, work) => {
      const startedMs = performance.now();
      const add = (rest: Pick<StepRecord, 'ok' | 'run' | 'error'>): void => {
        const { ok, run, error } = rest;
        const durationMs = Math.round(performance.now() - startedMs);
        const record = { name, ok, durationMs, run, ...(error === undefined ? {} : { error }) };
        records.push(record);
        print(record);
      };
      try {
        const found = await withProgress(log, `        ${name} ...`, work());
        add({ ok: true, run: found.run });
        return found;
      } catch (error) {
        add({ ok: false, run: null, error: error instanceof Error ? error.message : String(error) });
        throw error;
      }
    },
  };
}
