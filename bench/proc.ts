import { readdirSync, readFileSync } from 'node:fs';

/*
 * Processes as Linux shows them under /proc. Times are in clock ticks, which are a hundredth of a second on every
 * platform that Node runs on.
 */
const ticksPerSecond = 100;

type Stat = { parent: number; seconds: number; ofEndedChildren: number };

function readStat(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may contain anything, so fields are counted from its end.
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const ticks = (place: number): number => fields[place] ?? 0;
    return {
      parent: ticks(1),
      seconds: (ticks(11) + ticks(12)) / ticksPerSecond,
      ofEndedChildren: (ticks(13) + ticks(14)) / ticksPerSecond,
    };
  } catch {
    return null;
  }
}

/** Processor time of one process since its start. */
export function cpuSeconds(pid: number): number {
  const stat = readStat(pid);
  if (stat === null) throw new Error(`/proc/${pid}/stat cannot be read: this measurement needs Linux.`);
  return stat.seconds;
}

/** Processor time of a process and all its children, those that have ended included. */
export function cpuSecondsOfFamily(pid: number): number {
  const children = readdirSync('/proc')
    .map(Number)
    .filter((each) => each > 0)
    .map(readStat)
    .filter((stat) => stat?.parent === pid);
  const ended = readStat(pid)?.ofEndedChildren ?? 0;
  return children.reduce((sum, stat) => sum + (stat?.seconds ?? 0), cpuSeconds(pid) + ended);
}

export function residentMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kib === undefined) throw new Error(`/proc/${pid}/status does not say how much memory it has.`);
  return Number(kib) / 1024;
}
