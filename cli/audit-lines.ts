import { createReadStream } from 'node:fs';
import { type ExportLine, parseExportLine } from '../domain/audit.ts';
import { localError, usage } from './problem.ts';

type Bytes = AsyncIterable<Uint8Array>;

/** The bytes of a file; one that cannot be read is a mistake of usage. */
export async function* bytesOf(
  option: string,
  file: string,
): AsyncGenerator<Uint8Array, undefined, undefined> {
  try {
    yield* createReadStream(file) as AsyncIterable<Uint8Array>;
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw usage(`--${option}: the file ${file} cannot be read (${reason}).`);
  }
}

/** Text lines without their ends, however the bytes are cut; the last may lack its end. */
export async function* linesOf(bytes: Bytes): AsyncGenerator<string, undefined, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of bytes) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
  rest += decoder.decode();
  if (rest !== '') yield rest;
}

/** The lines of an export; what is none is refused with its place. */
export async function* exportLines(bytes: Bytes): AsyncGenerator<ExportLine, undefined, undefined> {
  let place = 0;
  for await (const text of linesOf(bytes)) {
    place += 1;
    if (text === '') continue;
    const line = parseExportLine(text);
    if (line === null)
      throw localError(
        'unexpected',
        `Line ${place} is not one of an audit export.`,
        'It was cut or changed; export again with `dreamnet audit export`.',
      );
    yield line;
  }
}
