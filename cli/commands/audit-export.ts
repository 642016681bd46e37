import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { exportLines } from '../audit-lines.ts';
import { command } from '../command.ts';
import { safeJson } from '../escape.ts';
import { localError, usage } from '../problem.ts';
import type { Session } from '../session.ts';

const progressEvery = 10_000;

export const exportCommand = command({
  name: 'export',
  about:
    'The whole audit with its signed heads, as JSON lines that `audit verify --file` reads without a server',
  args: {
    out: {
      type: 'string',
      valueHint: 'FILE',
      description: 'Write to this file once it is whole; else to stdout',
    },
  },
  run: async (session, { out: file }) => {
    const lines = wholeLines(session);
    if (file === undefined) {
      await pipeline(lines, process.stdout, { end: false });
      return 'ok';
    }
    const partial = `${file}.${process.pid}.partial`;
    try {
      await pipeline(lines, createWriteStream(partial, { mode: 0o600, flush: true }));
      await rename(partial, file);
    } catch (error) {
      if (error instanceof Error && 'syscall' in error && 'code' in error)
        throw usage(`--out: ${file} cannot be written (${String(error.code)}).`);
      throw error;
    } finally {
      await rm(partial, { force: true });
    }
    if (session.out.json) session.out.line(JSON.stringify({ file }));
    return 'ok';
  },
});

/** The lines as they were sent; one that is broken, or an export without its end, is no export. */
async function* wholeLines({ api, out }: Session): AsyncGenerator<string, undefined, undefined> {
  let entries = 0;
  let isWhole = false;
  for await (const line of exportLines(api.stream('/v1/audit/export'))) {
    yield `${safeJson(JSON.stringify(line))}\n`;
    if (line.kind === 'entry') entries += 1;
    if (line.kind === 'entry' && entries % progressEvery === 0) out.hint(`… ${entries} entries`);
    isWhole = line.kind === 'end';
  }
  if (!isWhole)
    throw localError('unavailable', `The export broke off after ${entries} entries.`, 'Try it again.');
  out.hint(`${entries} entries.`);
}
