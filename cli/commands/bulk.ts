import type { CommandDef } from 'citty';
import type { Decision } from '../../domain/approval.ts';
import { command } from '../command.ts';
import { visible } from '../escape.ts';
import type { Exit } from '../exits.ts';
import { marked } from '../format.ts';
import type { Reply } from '../http.ts';
import { approvalIds, resolveId } from '../ids.ts';
import { filterArgs, filterOf } from '../inbox.ts';
import { readList } from '../input.ts';
import { type Output, table } from '../output.ts';
import { checkFlags, isAgreed, previewArgs } from '../preview.ts';
import { usage } from '../problem.ts';
import { bodyOf, type Session, show } from '../session.ts';
import type { BulkDone, BulkPreview } from '../views.ts';

const path = '/v1/approvals/bulk-decision';
/** Two hundred decisions take longer than one. */
const withinMs = 120_000;

const args = {
  ...filterArgs,
  id: { type: 'string', valueHint: 'ID,ID', description: 'These approvals instead of a filter' },
  all: { type: 'boolean', description: 'Everything that waits for you, without a filter' },
  except: { type: 'string', valueHint: 'ID,ID', description: 'Leave these out' },
  reason: { type: 'string', valueHint: 'TEXT', description: 'Why' },
  ...previewArgs,
} as const;

function bulkCommand(decision: Decision, about: string): CommandDef {
  return command({
    name: decision,
    about,
    args,
    run: async (session, { id, all, except, reason, preview, yes, ...filters }) => {
      const filter = filterOf(filters);
      const isFiltered = Object.values(filter).some((value) => value !== undefined);
      if ([id !== undefined, all === true, isFiltered].filter(Boolean).length !== 1)
        throw usage('Say which: filters such as --target or --risk, or --id ID,ID, or --all.');
      if (decision === 'reject' && !preview && (reason ?? '').trim() === '')
        throw usage('--reason is missing; say why, the requesters read it.');
      checkFlags(session, { preview, yes });
      const resolve = (list: string): Promise<string[]> =>
        Promise.all(readList(list).map((each) => resolveId(session, approvalIds, each)));
      const wanted = {
        decision,
        reason,
        ...(id === undefined ? { filter } : { ids: await resolve(id) }),
        except: except === undefined ? undefined : await resolve(except),
      };
      const shown = await session.api.post(path, { ...wanted, preview: true }, {}, withinMs);
      const { selection, count } = bodyOf<BulkPreview>(shown);
      if (preview) {
        show(session, shown, () => describePreview(session.out, bodyOf<BulkPreview>(shown)));
        return 'ok';
      }
      if (!session.out.json)
        for (const line of describePreview(session.out, bodyOf<BulkPreview>(shown))) session.out.line(line);
      if (count === 0 && !session.out.json) return 'ok';
      const asking = { yes, question: `${decision} these ${count}?`, undone: 'Nothing was decided' };
      if (!(await isAgreed(session, asking))) return 'usage';
      const reply = await session.api.post(path, { ...wanted, selection }, {}, withinMs);
      return finish(session, reply);
    },
  });
}

function describePreview(out: Output, preview: BulkPreview): string[] {
  const heads = ['ID', 'RISK', 'KIND', 'TITLE', 'TARGET', 'YOU MAY NOT'];
  const rows = preview.items.map((item) => [
    ...[item.id, marked(item.risk), item.kind, item.title, item.target, item.whyNot ?? ''],
  ]);
  const lines = rows.length === 0 ? ['Nothing to decide.'] : table(out, heads, rows);
  const left = preview.leftOut.map(({ id, title, why }) =>
    out.paint('dim', visible(`left out: ${id}${title === null ? '' : ` ${title}`}: ${why}`)),
  );
  const more = preview.more ? ['There are more; they come with the next call.'] : [];
  return [...lines, ...left, ...more];
}

function finish(session: Session, reply: Reply): Exit {
  const done = bodyOf<BulkDone>(reply);
  show(session, reply, () => {
    const heads = ['ID', 'RESULT', 'TITLE', 'WHY'];
    const rows = done.results.map((result) => [
      result.id,
      result.accepted ? (result.delivered === false ? 'on its way' : (result.state ?? '')) : 'refused',
      result.title,
      result.message ?? '',
    ]);
    const { accepted, refused, pending } = done;
    return [
      ...table(session.out, heads, rows),
      `${accepted} accepted, of these ${pending} on their way; ${refused} refused`,
    ];
  });
  if (done.refused > 0) return 'conflict';
  return done.pending > 0 ? 'accepted' : 'ok';
}

export const bulkCommands: Record<string, CommandDef> = {
  approve: bulkCommand(
    'approve',
    'Say yes to many, after a look at all of them; never to high risk by a filter',
  ),
  reject: bulkCommand('reject', 'Say no to many, and why'),
};
