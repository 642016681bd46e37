import { command } from '../command.ts';
import { confirm } from '../confirm.ts';
import { readApproval } from '../decide.ts';
import { diffLines } from '../diff.ts';
import { visible } from '../escape.ts';
import { linkLine } from '../format.ts';
import { readNumber, readObject } from '../input.ts';
import { usage } from '../problem.ts';
import { bodyOf, exitFor, type Session, show } from '../session.ts';
import type { Approval, Delivering, InboxItem } from '../views.ts';

export const editCommand = command({
  name: 'edit',
  about: 'Change what a waiting task would do; another person then approves the new content',
  args: {
    id: { type: 'positional', required: true, description: 'Approval, or at least 6 characters of its id' },
    payload: { type: 'string', valueHint: 'JSON|@FILE|-', description: 'What the agent is given instead' },
    title: { type: 'string', valueHint: 'TEXT', description: 'Another line for the inbox' },
    'timeout-ms': { type: 'string', valueHint: 'N', description: 'Another time for the agent' },
    reason: { type: 'string', valueHint: 'TEXT', description: 'Why' },
    yes: { type: 'boolean', description: 'Send it without asking' },
  },
  run: async (session, { id, payload, title, 'timeout-ms': timeout, reason, yes }) => {
    const content = {
      payload: payload === undefined ? undefined : await readObject('payload', payload),
      title,
      timeoutMs: readNumber('timeout-ms', timeout),
    };
    if (Object.values(content).every((value) => value === undefined))
      throw usage('Nothing would change; give --payload, --title or --timeout-ms.');
    if (payload === '-' && !yes)
      throw usage('--payload - leaves nobody to ask.', 'Add --yes, or give the payload as @FILE.');
    const item = await readApproval(session, id);
    showChange(session, item, content);
    if (!(await confirm(session, 'Send this edit?', yes === true))) {
      session.out.hint('Nothing was changed.');
      return 'usage';
    }
    const reply = await session.api.post(`/v1/approvals/${item.id}/edit`, {
      ...content,
      digest: item.digest,
      reason,
    });
    show(session, reply, () => {
      if (reply.status === 202) {
        const { requestId, temporal } = bodyOf<Delivering>(reply);
        return [`on its way: request ${visible(requestId)}`, linkLine(session.out, temporal)];
      }
      const { approval } = bodyOf<{ approval: Approval }>(reply);
      return [
        `${session.out.paint('green', 'edited')}; another person now decides: dreamnet approve ${visible(approval.id)}`,
        linkLine(session.out, approval.temporal),
      ];
    });
    return exitFor(session, reply);
  },
});

function showChange(
  { out }: Session,
  item: InboxItem,
  content: { payload: Record<string, unknown> | undefined; title: string | undefined },
): void {
  if (out.json) return;
  const text = (value: unknown): string => JSON.stringify(value ?? {}, null, 2);
  const payload = content.payload ?? item.summary.payload;
  const lines = [
    ...diffLines(item.title, content.title ?? item.title),
    ...diffLines(text(item.summary.payload), text(payload)),
  ];
  const style = { '-': 'red', '+': 'green', ' ': 'dim' } as const;
  for (const { mark, text: said } of lines) out.line(out.paint(style[mark], `${mark} ${visible(said)}`));
}
