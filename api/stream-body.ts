import { DomainError } from '../domain/refusal.ts';
import type { ApiContext, ApiDeps } from './context.ts';
import { type EventReader, heartbeat, sseMessage } from './event-stream.ts';
import { describeError, ProblemError } from './problems.ts';

const readersWaitMs = 1_000;

type Stream = {
  reader: EventReader;
  /** What is sent before anything is read. */
  first: string;
  heartbeatMs: number;
  /** Throws when the reader may not read on. */
  check: () => Promise<void>;
  /** Called once, however the stream ends. */
  close: () => void;
};

/**
 * The body of a stream: each piece is made when the reader has taken the one before, so nothing piles up here. Why the
 * server ended it is its last message; a stream without one broke off, and is resumed from its last id like any other.
 */
export function streamBody(
  { stopping, log }: ApiDeps,
  c: ApiContext,
  { reader, first, heartbeatMs, check, close }: Stream,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const gone = new AbortController();
  const stop = AbortSignal.any([stopping, gone.signal]);
  let isFirst = true;

  function finish(): void {
    gone.abort();
    stopping.removeEventListener('abort', hurry);
    close();
  }

  /** Whoever does not take the last message would hold up the end of the process. */
  function hurry(): void {
    const env = c.env as { incoming?: { socket?: { destroy(): void } } } | undefined;
    setTimeout(() => {
      if (!gone.signal.aborted) env?.incoming?.socket?.destroy();
    }, readersWaitMs).unref();
  }
  stopping.addEventListener('abort', hurry, { once: true });

  async function nextPiece(): Promise<{ text: string; isLast: boolean }> {
    if (isFirst) {
      isFirst = false;
      return { text: first, isLast: false };
    }
    try {
      await check();
      const text = await reader.next(heartbeatMs, stop);
      if (stopping.aborted) return { text: text + endMessage('restart', 'This process ends.'), isLast: true };
      return { text: text === '' ? heartbeat(reader.place()) : text, isLast: false };
    } catch (error) {
      const isRefused = error instanceof ProblemError || error instanceof DomainError;
      if (!isRefused)
        log.warn({ requestId: c.get('requestId'), err: describeError(error) }, 'a stream was ended');
      const text = isRefused
        ? endMessage('revoked', error.message)
        : endMessage('unavailable', 'The log cannot be read right now.');
      return { text, isLast: true };
    }
  }

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { text, isLast } = await nextPiece();
        if (gone.signal.aborted) return;
        controller.enqueue(encoder.encode(text));
        if (!isLast) return;
        finish();
        controller.close();
      },
      cancel: finish,
    },
    { highWaterMark: 0 },
  );
}

function endMessage(reason: 'restart' | 'revoked' | 'unavailable', detail: string): string {
  return sseMessage('end', { reason, detail });
}
