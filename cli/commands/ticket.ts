import { decisions } from '../../domain/approval.ts';
import { command } from '../command.ts';
import { approvalArgs, approvalChoice, readApproval } from '../decide.ts';
import { visible } from '../escape.ts';
import { instant } from '../format.ts';
import { usage } from '../problem.ts';
import { bodyOf, show } from '../session.ts';

export const ticketCommand = command({
  name: 'ticket',
  about: 'Print the `temporal workflow signal` line that carries this decision, good for one use',
  args: {
    id: { type: 'positional', required: true, description: 'Approval, or at least 6 characters of its id' },
    decision: { type: 'positional', required: true, description: decisions.join(' or ') },
    reason: { type: 'string', valueHint: 'TEXT', description: 'Why' },
    guidance: { type: 'string', valueHint: 'TEXT', description: 'Of a rejection: what should be different' },
    ...approvalArgs,
  },
  run: async (session, { id, decision, reason, guidance, ...more }) => {
    if (!(decisions as readonly string[]).includes(decision))
      throw usage(`"${decision}" is no decision. Allowed: ${decisions.join(', ')}.`);
    const item = await readApproval(session, id);
    const reply = await session.api.post(`/v1/approvals/${item.id}/tickets`, {
      ...approvalChoice(more),
      decision,
      digest: item.digest,
      reason,
      guidance,
    });
    const { command: line, expiresAt } = bodyOf<{ command: string; expiresAt: string }>(reply);
    session.out.hint(
      `${visible(item.title)}: ${decision} it by running this once, before ${visible(instant(expiresAt))}:`,
    );
    show(session, reply, () => [visible(line)]);
    session.out.hint(`run  ${visible(item.temporal.url)}`);
    return 'ok';
  },
});
