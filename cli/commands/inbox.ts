import { approvalStates } from '../../domain/approval.ts';
import { command } from '../command.ts';
import { hintMore, pageArgs } from '../format.ts';
import { filterArgs, filterOf, inboxTable } from '../inbox.ts';
import { openScreen, watchInbox } from '../inbox-watch.ts';
import { usage } from '../problem.ts';
import { bodyOf, show } from '../session.ts';
import type { InboxItem, Page } from '../views.ts';

export const inboxCommand = command({
  name: 'inbox',
  about: 'What waits for a person, what it touches, and what you may do about it',
  args: {
    ...filterArgs,
    state: { type: 'enum', options: [...approvalStates, 'any'], description: 'Instead of open ones' },
    mine: { type: 'boolean', description: 'Only what you may decide' },
    sort: {
      type: 'enum',
      options: ['oldest', 'newest', 'risk', 'expiry'],
      description: 'What comes first; the oldest unless given',
    },
    watch: { type: 'boolean', description: 'Look again each 5 seconds, until q or Ctrl-C' },
    ...pageArgs,
  },
  run: async (session, { state, sort, mine, watch, limit, cursor, ...args }) => {
    const query = { ...filterOf(args), state, sort, mine: mine ? 'true' : undefined, limit, cursor };
    if (watch) {
      if (cursor !== undefined)
        throw usage('--watch looks at the beginning of the list; leave --cursor out.');
      await watchInbox(session, query, { screen: session.out.json ? null : openScreen() });
      return 'ok';
    }
    const reply = await session.api.get('/v1/approvals', query);
    const page = bodyOf<Page<InboxItem>>(reply);
    show(session, reply, () => inboxTable(session.out, page.items));
    hintMore(session, page);
    const blocked = page.items.find((item) => item.state === 'open' && item.whyNot !== null);
    if (blocked?.whyNot) session.out.hint(`${blocked.id}: ${JSON.stringify(blocked.whyNot).slice(1, -1)}`);
    return 'ok';
  },
});
