export type DiffLine = { mark: ' ' | '-' | '+'; text: string };

/** Beyond this a comparison line by line would take longer than anybody waits; all is shown as changed then. */
const maxCells = 4_000_000;

/** What became of a text, line by line: kept, taken away, added. */
export function diffLines(before: string, after: string): DiffLine[] {
  const a = before.split('\n');
  const b = after.split('\n');
  if (a.length * b.length > maxCells)
    return [...a.map((text) => line('-', text)), ...b.map((text) => line('+', text))];
  const common = commonFrom(a, b);
  const at = (i: number, j: number): number => common[i]?.[j] ?? 0;
  const lines: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push(line(' ', a[i] ?? ''));
      i += 1;
      j += 1;
    } else if (i < a.length && (j >= b.length || at(i + 1, j) >= at(i, j + 1))) {
      lines.push(line('-', a[i] ?? ''));
      i += 1;
    } else {
      lines.push(line('+', b[j] ?? ''));
      j += 1;
    }
  }
  return lines;
}

function line(mark: DiffLine['mark'], text: string): DiffLine {
  return { mark, text };
}

/** How many lines the rest of both texts, from each pair of places on, have in common. */
function commonFrom(a: string[], b: string[]): number[][] {
  const table = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    const row = table[i] ?? [];
    const below = table[i + 1] ?? [];
    for (let j = b.length - 1; j >= 0; j -= 1)
      row[j] = a[i] === b[j] ? (below[j + 1] ?? 0) + 1 : Math.max(below[j] ?? 0, row[j + 1] ?? 0);
  }
  return table;
}
