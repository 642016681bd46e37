import { command } from '../command.ts';
import { readApproval } from '../decide.ts';
import { visible } from '../escape.ts';
import { bodyOf, show } from '../session.ts';
import type { Approval } from '../views.ts';

export const handOverCommand = command({
  name: 'hand-over',
  about: 'Give your vote on one approval to another person',
  args: {
    id: { type: 'positional', required: true, description: 'Approval, or at least 6 characters of its id' },
    to: { type: 'positional', required: true, description: 'Name or id of who decides instead of you' },
    reason: { type: 'string', valueHint: 'TEXT', description: 'Why' },
  },
  run: async (session, { id, to, reason }) => {
    const item = await readApproval(session, id);
    const reply = await session.api.post(`/v1/approvals/${item.id}/hand-over`, { to, reason });
    show(session, reply, () => {
      const last = bodyOf<{ approval: Approval }>(reply).approval.handovers.at(-1);
      return [`handed over: ${visible(last?.toName ?? to)} now decides instead of you`];
    });
    return 'ok';
  },
});
