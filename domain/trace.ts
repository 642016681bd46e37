/** W3C trace context: the trace a request belongs to, and the span that this system is in it. */
export type Trace = { traceId: string; spanId: string; flags: string; state: string | null };

const shape = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
/** What a caller's `tracestate` may take up; a longer one is left out, as the standard allows. */
const maxState = 512;

/** The trace that a `traceparent` header names; null when the header is not one. */
export function parseTrace(
  parent: string | undefined,
  state: string | undefined,
): Omit<Trace, 'spanId'> | null {
  const match = shape.exec(parent ?? '');
  if (match === null) return null;
  const [, version = '', traceId = '', spanId = '', flags = '', rest] = match;
  // Version ff is none, and version 00 ends after the flags; later ones may go on.
  if (version === 'ff' || (version === '00' && rest !== undefined)) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  const isPassable = state !== undefined && state.length <= maxState && /^[\x20-\x7e]+$/.test(state);
  return { traceId, flags, state: isPassable ? state : null };
}

/** The header that carries a trace on. */
export function formatTrace({ traceId, spanId, flags }: Trace): string {
  return `00-${traceId}-${spanId}-${flags}`;
}
