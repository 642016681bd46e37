export type Log = {
  info: (text: string) => void;
  warn: (text: string) => void;
  /** One line that a child process wrote; shown only when it is a warning, or when everything is wanted. */
  child: (name: string, line: string, stream: 'stdout' | 'stderr') => void;
};

type ChildRecord = { level?: unknown; msg?: unknown; err?: { message?: unknown } };

const levelNumbers: Record<string, number> = {
  trace: 10,
  debug: 20,
  info: 30,
  warn: 40,
  error: 50,
  fatal: 60,
};

function parseRecord(line: string): ChildRecord | null {
  if (!line.startsWith('{')) return null;
  try {
    return JSON.parse(line) as ChildRecord;
  } catch {
    return null;
  }
}

function levelOf(record: ChildRecord): number {
  if (typeof record.level === 'number') return record.level;
  return levelNumbers[String(record.level).toLowerCase()] ?? 30;
}

export function createLog(write: (text: string) => void, verbose: boolean): Log {
  const print = (text: string): void => {
    write(`${text}\n`);
  };
  return {
    info: print,
    warn: (text) => {
      print(`warning: ${text}`);
    },
    child: (name, line, stream) => {
      if (verbose) {
        print(`[${name}] ${line}`);
        return;
      }
      const record = parseRecord(line);
      if (record === null) {
        if (stream === 'stderr') print(`[${name}] ${line}`);
        return;
      }
      if (levelOf(record) < 40) return;
      const cause = typeof record.err?.message === 'string' ? `: ${record.err.message}` : '';
      print(`[${name}] ${typeof record.msg === 'string' ? record.msg : line}${cause}`);
    },
  };
}

export const silentLog: Log = { info: () => {}, warn: () => {}, child: () => {} };

/** Says what is being waited for, once it takes longer than two seconds. */
export async function withProgress<T>(log: Log, label: string, work: Promise<T>): Promise<T> {
  const started = Date.now();
  const say = (): void => {
    log.info(`${label} (${Math.round((Date.now() - started) / 1000)} s)`);
  };
  let repeat: NodeJS.Timeout | undefined;
  const first = setTimeout(() => {
    say();
    repeat = setInterval(say, 5000);
  }, 2000);
  try {
    return await work;
  } finally {
    clearTimeout(first);
    clearInterval(repeat);
  }
}
