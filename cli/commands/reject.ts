import { command } from '../command.ts';
import { readApproval, sendDecision, showContent } from '../decide.ts';
import { usage } from '../problem.ts';

export const rejectCommand = command({
  name: 'reject',
  about: 'Say no, and why',
  args: {
    id: { type: 'positional', required: true, description: 'Approval, or at least 6 characters of its id' },
    reason: { type: 'string', valueHint: 'TEXT', required: true, description: 'Why; the requester reads it' },
    guidance: { type: 'string', valueHint: 'TEXT', description: 'What should be different the next time' },
  },
  run: async (session, { id, reason, guidance }) => {
    if (reason.trim() === '') throw usage('--reason is empty; say why, the requester reads it.');
    const item = await readApproval(session, id);
    showContent(session, item);
    const choice = { decision: 'reject' as const, digest: item.digest, reason, guidance };
    return (await sendDecision(session, item, choice)).exit;
  },
});
