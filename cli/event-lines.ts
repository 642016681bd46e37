import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { maxBatch } from '../domain/events.ts';
import { CliError, usage } from './problem.ts';
import { bodyOf, type Session } from './session.ts';

export type Sent = { accepted: number; duplicates: number; differing: number };

/** Well below what the API takes, so that a request never fails for the size of many events together. */
const maxBytes = 2 * 1024 * 1024;
const tellEveryMs = 2_000;

type Batch = { lines: string[]; first: number; bytes: number };
const emptyBatch = (first: number): Batch => ({ lines: [], first, bytes: 0 });

/**
 * Sends a file of events, one JSON on each line, in batches that are stored whole or not at all. Where one is refused,
 * what came before it is stored and the message names the line of the file.
 */
export async function sendLines(session: Session, file: string): Promise<Sent> {
  const sent: Sent = { accepted: 0, duplicates: 0, differing: 0 };
  let toldAt = Date.now();

  async function send(batch: Batch): Promise<void> {
    if (batch.lines.every((line) => line.trim() === '')) return;
    const answer = await session.api
      .postLines('/v1/events', `${batch.lines.join('\n')}\n`)
      .catch((error: unknown) => {
        throw located(error, batch, sent);
      });
    const { accepted } = bodyOf<{ accepted: { duplicate: boolean; differs?: true }[] }>(answer);
    sent.accepted += accepted.length;
    sent.duplicates += accepted.filter(({ duplicate }) => duplicate).length;
    sent.differing += accepted.filter(({ differs }) => differs === true).length;
    if (Date.now() - toldAt < tellEveryMs) return;
    toldAt = Date.now();
    session.out.hint(`… ${sent.accepted} events sent`);
  }

  let batch = emptyBatch(1);
  let number = 0;
  for await (const line of linesOf(file)) {
    number += 1;
    const bytes = Buffer.byteLength(line) + 1;
    if (batch.lines.length === maxBatch || (batch.bytes + bytes > maxBytes && batch.lines.length > 0)) {
      await send(batch);
      batch = emptyBatch(number);
    }
    batch.lines.push(line);
    batch.bytes += bytes;
  }
  await send(batch);
  return sent;
}

/** A line ends at \n or \r\n, as for the API. */
async function* linesOf(file: string): AsyncGenerator<string, undefined, undefined> {
  const input: Readable = file === '-' ? process.stdin : createReadStream(file);
  let rest = '';
  try {
    for await (const chunk of input.setEncoding('utf8') as AsyncIterable<string>) {
      const [head = '', ...more] = chunk.split('\n');
      rest += head;
      for (const next of more) {
        yield rest.replace(/\r$/, '');
        rest = next;
      }
    }
    if (rest !== '') yield rest.replace(/\r$/, '');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : null;
    if (reason === null) throw error;
    throw usage(`--lines: the file ${file} cannot be read (${reason}).`);
  }
}

/** The problem of a batch, with the line counted from the beginning of the file. */
function located(error: unknown, { first }: Batch, { accepted }: Sent): unknown {
  if (!(error instanceof CliError)) return error;
  const within = error.problem.details?.line;
  const line = typeof within === 'number' ? first + within - 1 : null;
  const detail =
    line === null ? error.problem.detail : error.problem.detail.replace(/^line \d+/i, `line ${line}`);
  const details = { ...error.problem.details, ...(line === null ? {} : { line }), stored: accepted };
  return new CliError(
    error.exit,
    { ...error.problem, detail, details },
    {
      next:
        accepted === 0
          ? 'Nothing was stored.'
          : `${accepted} events before it are stored. Give each event an id: then the whole file can be sent again.`,
    },
  );
}
