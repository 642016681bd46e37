import { isEnded } from '../../domain/task.ts';
import { command } from '../command.ts';
import { visible } from '../escape.ts';
import { hintMore, instant, pageArgs } from '../format.ts';
import { resolveId, taskIds } from '../ids.ts';
import type { Output } from '../output.ts';
import { bodyOf, type Session, show, showItem } from '../session.ts';
import { pause } from '../stop.ts';
import type { LogLine, Page, TaskShown } from '../views.ts';

const followEveryMs = 1_000;

export const logsCommand = command({
  name: 'logs',
  about: 'What the attempts of a task reported',
  args: {
    id: { type: 'positional', required: true, description: 'Task, or at least 6 characters of its id' },
    follow: {
      type: 'boolean',
      description: 'Go on until the task has ended; with --json one line for each entry',
    },
    ...pageArgs,
  },
  run: async (session, { follow, limit, cursor, ...args }) => {
    const id = await resolveId(session, taskIds, args.id);
    if (follow) return followLogs(session, id, cursor);
    const reply = await session.api.get(`/v1/tasks/${id}/logs`, { limit, cursor });
    const page = bodyOf<Page<LogLine>>(reply);
    show(session, reply, () => page.items.map((line) => logText(session.out, line)));
    hintMore(session, page);
    return 'ok';
  },
});

function logText(out: Output, { at, attempt, level, message }: LogLine): string {
  const text = visible(`${instant(at)}  #${attempt}  ${level.padEnd(7)}  ${message}`);
  return level === 'info' ? text : out.paint(level === 'error' ? 'red' : 'yellow', text);
}

/** The last page has no cursor behind it, so it is read again and what was shown of it is left out. */
async function followLogs(session: Session, id: string, start: string | undefined): Promise<'ok'> {
  const { api, out, stop } = session;
  let cursor = start;
  let shown = 0;
  while (!stop.aborted) {
    try {
      const { task } = bodyOf<TaskShown>(await api.get(`/v1/tasks/${id}`));
      const page = bodyOf<Page<LogLine>>(await api.get(`/v1/tasks/${id}/logs`, { limit: 200, cursor }));
      for (const line of page.items.filter((each) => each.id > shown)) {
        showItem(session, line, () => logText(out, line));
        shown = line.id;
      }
      if (page.nextCursor !== null) {
        cursor = page.nextCursor;
        continue;
      }
      if (isEnded(task.state)) {
        out.hint(`The task has ended: ${task.state}.`);
        return 'ok';
      }
    } catch (error) {
      if (!stop.aborted) throw error;
    }
    await pause(followEveryMs, stop);
  }
  return 'ok';
}
