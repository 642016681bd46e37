import { confirm } from './confirm.ts';
import { usage } from './problem.ts';
import type { Session } from './session.ts';

/** Options of a command that shows what it would be about, asks, and only then does it. */
export const previewArgs = {
  preview: { type: 'boolean', description: 'Only show what it would be about' },
  yes: { type: 'boolean', description: 'Do not ask; needed where there is no terminal' },
} as const;

type Flags = { [K in keyof typeof previewArgs]?: boolean | undefined };

/** Refuses a --json that would have to ask. */
export function checkFlags({ out }: Session, { preview, yes }: Flags): void {
  if (out.json && preview !== true && yes !== true)
    throw usage('With --json nobody can be asked; add --yes, or --preview to look first.');
}

/** Asks the person who has seen the preview; after a no, `undone` says what did not happen. */
export async function isAgreed(
  session: Session,
  { yes = false, question, undone }: { yes: boolean | undefined; question: string; undone: string },
): Promise<boolean> {
  if (!yes && !process.stdin.isTTY)
    throw usage(`${undone}: there is no terminal to ask at.`, 'Add --yes to do it all the same.');
  const isYes = await confirm(session, question, yes);
  if (!isYes) session.out.hint(`${undone}.`);
  return isYes;
}
