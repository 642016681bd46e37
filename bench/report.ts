import os from 'node:os';

/** One measured value; `bar` is null where it is only reported beside the others. */
export type Bar = { what: string; value: number | null; bar: number | null; unit: string; ok: boolean };
export type Machine = { cpu: string; cores: number; memoryMiB: number; node: string };
export type Report = { name: string; ok: boolean; machine: Machine; bars: Bar[] };

/** A value that must not be larger than its bar. */
export function atMost(what: string, value: number, bar: number, unit: string): Bar {
  return { what, value: shorten(value), bar, unit, ok: value <= bar };
}

export function atLeast(what: string, value: number, bar: number, unit: string): Bar {
  return { what, value: shorten(value), bar, unit, ok: value >= bar };
}

export function beside(what: string, value: number, unit: string): Bar {
  return { what, value: shorten(value), bar: null, unit, ok: true };
}

/** What could not be measured counts as missed. */
export function notMeasured(what: string): Bar {
  return { what: `${what}: not measured`, value: null, bar: null, unit: '', ok: false };
}

function shorten(value: number): number {
  return Number(value.toFixed(Math.abs(value) < 10 ? 2 : 1));
}

/** By nearest rank: a value that was really measured. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
  if (value === undefined) throw new Error('A percentile needs at least one value.');
  return value;
}

export function createReport(name: string, bars: Bar[]): Report {
  const cpus = os.cpus();
  const machine = {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryMiB: Math.round(os.totalmem() / 2 ** 20),
    node: process.version,
  };
  return { name, ok: bars.every((bar) => bar.ok), machine, bars };
}

export function renderReport({ name, machine, bars }: Report): string {
  const rows = bars.map(({ what, value, bar, unit, ok }) => [
    what,
    value === null ? '-' : `${value} ${unit}`.trim(),
    bar === null ? '' : String(bar),
    ok ? (bar === null ? '' : 'ok') : 'MISSED',
  ]);
  const all = [['', 'measured', 'bar', ''], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const lines = all.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
  const { cpu, cores, memoryMiB, node } = machine;
  return [`${name} on ${cores} x ${cpu}, ${memoryMiB} MiB, Node ${node}`, ...lines].join('\n');
}
