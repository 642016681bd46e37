/** A failure whose message alone is for the reader: printed without a stack trace. */
export class StackError extends Error {
  override name = 'StackError';
}

export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
