import { visible } from './escape.ts';
import type { Cell, Output, Paint } from './output.ts';
import type { Session } from './session.ts';
import type { Link, Page } from './views.ts';

const units: [string, number][] = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
];

/** A length of time in its largest unit, rounded down. */
export function duration(seconds: number): string {
  for (const [unit, size] of units) if (seconds >= size) return `${Math.floor(seconds / size)}${unit}`;
  return `${Math.max(0, Math.floor(seconds))}s`;
}

/** How long something still lasts by the clock of the server, which may differ from the one here. */
export function remaining(item: { createdAt: string; ageSeconds: number; expiresAt: string }): string {
  const serverNowMs = Date.parse(item.createdAt) + item.ageSeconds * 1000;
  const seconds = (Date.parse(item.expiresAt) - serverNowMs) / 1000;
  return seconds <= 0 ? 'over' : duration(seconds);
}

/** A point in time as people here write it. */
export function instant(text: string): string {
  return text.replace('T', ' ').replace(/\.\d+Z$/, 'Z');
}

const styles: Record<string, Paint> = {
  high: 'red',
  critical: 'red',
  error: 'red',
  failed: 'red',
  failing: 'red',
  red: 'red',
  offline: 'red',
  medium: 'yellow',
  amber: 'yellow',
  warning: 'yellow',
  success: 'green',
  green: 'green',
  ok: 'green',
  online: 'green',
  sent: 'green',
};

/** A word with the colour of its meaning. */
export function marked(word: string): Cell {
  const style = styles[word];
  return style === undefined ? word : { text: word, style };
}

/** The line that leads into Temporal's Web UI. */
export function linkLine(out: Output, link: Link): string {
  return `${out.paint('dim', 'run')}  ${visible(link.url)}`;
}

/** Tells a person that a list goes on. */
export function hintMore({ out }: Session, page: Page<unknown>): void {
  if (page.nextCursor !== null)
    out.hint(`There is more: repeat it with --cursor ${visible(page.nextCursor)}`);
}

export const pageArgs = {
  limit: { type: 'string', valueHint: 'N', description: 'Items of one page, 1 to 200' },
  cursor: { type: 'string', valueHint: 'CURSOR', description: 'Where the page before ended' },
} as const;
