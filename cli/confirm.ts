import { createInterface } from 'node:readline';
import { usage } from './problem.ts';
import type { Session } from './session.ts';

/** Asks a person at the terminal; true for a yes. With --yes nobody is asked, and a script has to give it. */
export async function confirm({ out, stop }: Session, question: string, isSure: boolean): Promise<boolean> {
  if (isSure) return true;
  if (out.json) throw usage('With --json nobody can be asked.', 'Add --yes to do it without a question.');
  process.stderr.write(`${question} [y/N] `);
  const lines = createInterface({ input: process.stdin, signal: stop });
  for await (const answer of lines) {
    lines.close();
    return /^y(es)?$/i.test(answer.trim());
  }
  return false;
}
