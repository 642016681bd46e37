import type { IncomingMessage } from 'node:http';
import type { ApiContext } from './context.ts';
import { ProblemError } from './problems.ts';

/**
 * The bytes of a body, at most so many, whatever the length header says and for chunked bodies too. From a socket they
 * are read without the web stream around it, which costs more than everything else that is done with a small body.
 */
export async function readBytes(c: ApiContext, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const announced = Number(c.req.header('content-length') ?? '0');
  if (announced > maxBytes) throw tooLarge(maxBytes);
  const incoming = socketOf(c);
  try {
    return join(await (incoming === null ? fromStream(c, maxBytes) : fromSocket(incoming, maxBytes)));
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    throw new ProblemError('INVALID', 'The body ended before it was complete.', { cause: error });
  }
}

function tooLarge(maxBytes: number): ProblemError {
  return new ProblemError('PAYLOAD_TOO_LARGE', `The body may have at most ${maxBytes} bytes.`, {
    details: { maxBytes },
  });
}

/** The request as the socket's server has it; null for one that came another way, or that somebody has begun to read. */
function socketOf(c: ApiContext): IncomingMessage | null {
  const { incoming } = (c.env ?? {}) as { incoming?: Partial<IncomingMessage> };
  const isWhole = typeof incoming?.on === 'function' && incoming.readableDidRead === false;
  return isWhole ? (incoming as IncomingMessage) : null;
}

async function fromStream(c: ApiContext, maxBytes: number): Promise<Uint8Array[]> {
  const body = c.req.raw.body as AsyncIterable<Uint8Array> | null;
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body ?? []) {
    size += part.byteLength;
    if (size > maxBytes) throw tooLarge(maxBytes);
    parts.push(part);
  }
  return parts;
}

function fromSocket(incoming: IncomingMessage, maxBytes: number): Promise<Uint8Array[]> {
  return new Promise((resolve, reject) => {
    const parts: Uint8Array[] = [];
    let size = 0;
    const end = (settle: () => void): void => {
      incoming.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
      settle();
    };
    const onData = (part: Uint8Array): void => {
      size += part.byteLength;
      parts.push(part);
      if (size <= maxBytes) return;
      // What is left stays in the socket: the server drops it once the answer is out.
      incoming.pause();
      end(() => reject(tooLarge(maxBytes)));
    };
    const onEnd = (): void => end(() => resolve(parts));
    const onError = (error: Error): void => end(() => reject(error));
    const onClose = (): void => end(() => reject(new Error('the connection was closed')));
    incoming.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
    // Whoever was gone before says nothing any more.
    if (incoming.destroyed) onClose();
  });
}

function join(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}
