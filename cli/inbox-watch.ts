import { visible } from './escape.ts';
import type { Query } from './http.ts';
import { inboxLine, inboxTable } from './inbox.ts';
import { look } from './look.ts';
import { bodyOf, type Session, showItem } from './session.ts';
import { pause } from './stop.ts';
import type { InboxItem, Page } from './views.ts';

/** A screen that can be painted anew, and the keys in front of it. */
export type Screen = { write(text: string): void; onKey(listener: (key: string) => void): () => void };

const everyMs = 5_000;
const clear = '\u001b[H\u001b[2J';

/** The terminal, where there is one on both sides; a pipe has no screen. */
export function openScreen(): Screen | null {
  const { stdin, stdout } = process;
  if (!stdin.isTTY || !stdout.isTTY) return null;
  return {
    write: (text) => void stdout.write(text),
    onKey(listener) {
      const heard = (chunk: Buffer): void => listener(chunk.toString('utf8'));
      stdin.setRawMode(true);
      stdin.resume().on('data', heard);
      return () => {
        stdin.off('data', heard).pause();
        stdin.setRawMode(false);
      };
    },
  };
}

/**
 * Shows the inbox as it is, again and again, until q, Ctrl-C or the stop. On a screen the list is painted over itself;
 * elsewhere each approval that comes or goes is one line, and with --json each look is one page.
 */
export async function watchInbox(
  session: Session,
  query: Query,
  { screen, pauseMs = everyMs }: { screen: Screen | null; pauseMs?: number },
): Promise<void> {
  const quit = new AbortController();
  const stop = AbortSignal.any([session.stop, quit.signal]);
  // In raw mode Ctrl-C is a key like any other.
  const unhear = screen?.onKey((key) => {
    if (['q', 'Q', '\u0003'].some((end) => key.includes(end))) quit.abort();
  });
  const read = async (): Promise<Page<InboxItem>> =>
    bodyOf<Page<InboxItem>>(await session.api.get('/v1/approvals', query));
  let before: Map<string, InboxItem> | null = null;
  try {
    while (!stop.aborted) {
      const page: Page<InboxItem> | null = await look(session, read, before === null);
      if (page !== null) {
        if (screen !== null) paint(session, screen, page);
        else if (session.out.json) showItem(session, page, () => '');
        else printChanges(session, before, page.items);
        before = new Map(page.items.map((item) => [item.id, item]));
      }
      await pause(pauseMs, stop);
    }
  } finally {
    unhear?.();
  }
}

function paint({ out }: Session, screen: Screen, page: Page<InboxItem>): void {
  const more = page.nextCursor === null ? '' : ', the first of more';
  const foot = out.paint('dim', `${page.items.length} shown${more}; painted each 5 s; q quits`);
  screen.write(`${clear}${[...inboxTable(out, page.items), '', foot].join('\r\n')}\r\n`);
}

function printChanges({ out }: Session, before: Map<string, InboxItem> | null, items: InboxItem[]): void {
  if (before === null && items.length === 0) out.line('Nothing waits.');
  const now = new Set(items.map(({ id }) => id));
  for (const item of items) if (!before?.has(item.id)) out.line(visible(`+ ${inboxLine(item)}`));
  for (const [id, item] of before ?? []) if (!now.has(id)) out.line(visible(`- ${id}  ${item.title}`));
}
