import { approvalKinds, approvalStates } from '../../domain/approval.ts';
import { risks } from '../../domain/task.ts';
import { command } from '../command.ts';
import { votesOf } from '../decide.ts';
import { duration, hintMore, marked, pageArgs, remaining } from '../format.ts';
import { type Cell, table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import type { InboxItem, Page } from '../views.ts';

const heads = ['ID', 'RISK', 'AGE', 'EXPIRES IN', 'TITLE', 'TARGET', 'REQUESTED BY', 'VOTES', 'YOU MAY'];

export const inboxCommand = command({
  name: 'inbox',
  about: 'What waits for a person, the oldest first, and what you may do about it',
  args: {
    kind: { type: 'enum', options: [...approvalKinds], description: 'Only this kind' },
    risk: { type: 'enum', options: [...risks], description: 'Only this risk' },
    state: { type: 'enum', options: [...approvalStates, 'any'], description: 'Instead of open ones' },
    ...pageArgs,
  },
  run: async (session, { kind, risk, state, limit, cursor }) => {
    const reply = await session.api.get('/v1/approvals', { kind, risk, state, limit, cursor });
    const page = bodyOf<Page<InboxItem>>(reply);
    show(session, reply, () =>
      page.items.length === 0 ? ['Nothing waits.'] : table(session.out, heads, page.items.map(rowOf)),
    );
    hintMore(session, page);
    const blocked = page.items.find((item) => item.state === 'open' && item.whyNot !== null);
    if (blocked?.whyNot) session.out.hint(`${blocked.id}: ${JSON.stringify(blocked.whyNot).slice(1, -1)}`);
    return 'ok';
  },
});

function rowOf(item: InboxItem): Cell[] {
  const { target } = item.summary;
  return [
    item.id,
    marked(item.risk),
    duration(item.ageSeconds),
    item.state === 'open' ? remaining(item) : item.state,
    item.title,
    typeof target === 'string' ? target : '',
    item.requestedBy.name ?? item.requestedBy.id,
    votesOf(item),
    item.allowedActions.join(', ') || '-',
  ];
}
