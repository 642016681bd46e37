import type { ApiContext } from './context.ts';
import { ProblemError } from './problems.ts';

/** The body as it was sent, however its length was announced. */
export async function readBytes(c: ApiContext, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const announced = Number(c.req.header('content-length') ?? '0');
  if (announced > maxBytes) throw tooLarge(maxBytes);
  const body = c.req.raw.body as AsyncIterable<Uint8Array> | null;
  if (body === null) return new Uint8Array();
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const part of body) {
      size += part.byteLength;
      if (size > maxBytes) throw tooLarge(maxBytes);
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    throw new ProblemError('INVALID', 'The body ended before it was complete.', { cause: error });
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

function tooLarge(maxBytes: number): ProblemError {
  return new ProblemError('PAYLOAD_TOO_LARGE', `The body may have at most ${maxBytes} bytes.`, {
    details: { maxBytes },
  });
}
