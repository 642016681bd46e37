import { visible } from './escape.ts';

export type Paint = 'bold' | 'dim' | 'red' | 'yellow' | 'green' | 'cyan';
const codes: Record<Paint, [number, number]> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  yellow: [33, 39],
  green: [32, 39],
  cyan: [36, 39],
};

export type Output = {
  json: boolean;
  /** Result lines, already free of what a terminal would obey. */
  line(text: string): void;
  /** Progress and advice: stderr, and nothing at all with --json. */
  hint(text: string): void;
  /** Shows that a wait goes on, until the returned function ends it. */
  waiting(what: string): () => void;
  paint(style: Paint, text: string): string;
};

const showAfterMs = 2_000;

export function createOutput(options: { json: boolean; color: boolean }): Output {
  const isTty = process.stdout.isTTY;
  const isColored = options.color && isTty && !options.json;
  const isQuiet = options.json;

  function hint(text: string): void {
    if (!isQuiet) process.stderr.write(`${text}\n`);
  }

  return {
    json: options.json,
    line: (text) => void process.stdout.write(`${text}\n`),
    hint,
    waiting(what) {
      if (isQuiet) return () => undefined;
      const timer = setTimeout(() => hint(`… ${what}`), showAfterMs);
      timer.unref();
      return () => clearTimeout(timer);
    },
    paint(style, text) {
      if (!isColored) return text;
      const [on, off] = codes[style];
      return `\u001b[${on}m${text}\u001b[${off}m`;
    },
  };
}

/** A cell of a table: text from anywhere, and how it looks. */
export type Cell = string | { text: string; style: Paint };

const widest = 60;

/** Columns under their headings. Each cell is made visible and cut here, so that no caller can forget it. */
export function table(out: Output, heads: string[], rows: Cell[][]): string[] {
  const texts = rows.map((row) =>
    row.map((cell) => cut(visible(typeof cell === 'string' ? cell : cell.text))),
  );
  const widths = heads.map((head, index) =>
    Math.max(head.length, ...texts.map((row) => row[index]?.length ?? 0)),
  );
  const pad = (text: string, index: number): string =>
    index === heads.length - 1 ? text : text.padEnd(widths[index] ?? 0);
  const lines = texts.map((row, at) =>
    row
      .map((text, index) => {
        const cell = rows[at]?.[index];
        return typeof cell === 'object' ? out.paint(cell.style, pad(text, index)) : pad(text, index);
      })
      .join('  ')
      .trimEnd(),
  );
  return [out.paint('bold', heads.map(pad).join('  ')), ...lines];
}

/** Names and values below each other; values that are null are left out. */
export function facts(out: Output, pairs: [string, string | number | null | undefined][]): string[] {
  const kept = pairs.filter(
    (pair): pair is [string, string | number] => pair[1] !== null && pair[1] !== undefined,
  );
  const width = Math.max(0, ...kept.map(([name]) => name.length));
  return kept.map(([name, value]) => `${out.paint('dim', name.padEnd(width))}  ${visible(String(value))}`);
}

function cut(text: string): string {
  return text.length > widest ? `${text.slice(0, widest - 1)}…` : text;
}
