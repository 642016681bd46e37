import { command } from '../command.ts';
import { approvalArgs, approvalChoice, readApproval, sendDecision, showContent } from '../decide.ts';
import type { Exit } from '../exits.ts';
import { usage } from '../problem.ts';
import { bodyOf, type Session } from '../session.ts';
import { actOnTask } from '../task-action.ts';
import type { InboxItem, TaskShown } from '../views.ts';

export const approveCommand = command({
  name: 'approve',
  about: 'Say yes to exactly the content that is shown',
  args: {
    id: { type: 'positional', required: true, description: 'Approval, or at least 6 characters of its id' },
    reason: { type: 'string', valueHint: 'TEXT', description: 'Why' },
    digest: {
      type: 'string',
      valueHint: 'DIGEST',
      description: 'Approve only what was seen before with this digest',
    },
    ...approvalArgs,
    dispatch: {
      type: 'boolean',
      description: 'Hand the task to its agent as well; with --json a second line',
    },
  },
  run: async (session, { id, reason, digest, dispatch, ...more }) => {
    const item = await readApproval(session, id);
    if (dispatch && item.kind !== 'task')
      throw usage('--dispatch is for approvals of the kind task.', 'Repeat it without --dispatch.');
    showContent(session, item);
    const choice = {
      ...approvalChoice(more),
      decision: 'approve' as const,
      digest: digest ?? item.digest,
      reason,
    };
    const { exit, decided } = await sendDecision(session, item, choice);
    if (!dispatch) return exit;
    if (decided === null) {
      session.out.hint(
        `Not dispatched: that takes the recorded approval. Then: dreamnet task dispatch ${item.taskId}`,
      );
      return exit;
    }
    return dispatchApproved(session, item, decided.outcome);
  },
});

async function dispatchApproved(
  session: Session,
  item: InboxItem,
  outcome: { state: string; votesLeft: number },
): Promise<Exit> {
  if (outcome.state !== 'approved') {
    session.out.hint(`Not dispatched: ${outcome.votesLeft} more people have to approve it first.`);
    return 'conflict';
  }
  const { task } = bodyOf<TaskShown>(await session.api.get(`/v1/tasks/${item.taskId}`));
  if (task.dispatchMode === 'auto') {
    session.out.hint('This task dispatches itself once it is approved.');
    return 'ok';
  }
  return actOnTask(session, item.taskId, 'dispatch', {});
}
