/** Every way a command ends: the code a script sees, and its cause. */
export const exits = {
  ok: { code: 0, cause: 'done' },
  unexpected: { code: 1, cause: 'a fault of this program or of the server' },
  usage: { code: 2, cause: 'wrong arguments, or input that the API refuses as INVALID' },
  unauthenticated: { code: 3, cause: 'no key, or one that is not valid' },
  forbidden: { code: 4, cause: 'the key may not do this (role, four-eyes rule)' },
  notFound: { code: 5, cause: 'there is no such thing' },
  conflict: {
    code: 6,
    cause: 'the state does not allow it: decided, changed (stale), expired, not yet approved',
  },
  limit: { code: 7, cause: 'a limit was reached' },
  unavailable: { code: 8, cause: 'no connection, no answer in time, or a part behind the API is down' },
  accepted: { code: 9, cause: 'stored but not recorded by the run yet; the relay delivers it' },
  notIntact: { code: 10, cause: 'the audit was verified and is not intact' },
} as const;
export type Exit = keyof typeof exits;

const byProblemCode: Record<string, Exit> = {
  INVALID: 'usage',
  PAYLOAD_TOO_LARGE: 'usage',
  UNAUTHENTICATED: 'unauthenticated',
  FORBIDDEN: 'forbidden',
  NOT_FOUND: 'notFound',
  CONFLICT: 'conflict',
  STALE: 'conflict',
  EXPIRED: 'conflict',
  LIMIT: 'limit',
  UNAVAILABLE: 'unavailable',
};

const byStatus: Record<number, Exit> = {
  400: 'usage',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'notFound',
  409: 'conflict',
  410: 'conflict',
  412: 'conflict',
  413: 'usage',
  429: 'limit',
  502: 'unavailable',
  503: 'unavailable',
  504: 'unavailable',
};

/** The cause behind an error of the API: its stable code, else the status. */
export function exitOf(problem: { code: string; status: number }): Exit {
  return byProblemCode[problem.code] ?? byStatus[problem.status] ?? 'unexpected';
}

/** The table above, as help shows it. */
export function describeExits(): string {
  return Object.values(exits)
    .map(({ code, cause }) => `  ${code}  ${cause}`)
    .join('\n');
}
