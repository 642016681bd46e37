import { type Exit, exitOf } from './exits.ts';

/** An error as the API states it (problem+json); what goes wrong here is stated in the same shape. */
export type Problem = {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  requestId: string | null;
  details?: Record<string, unknown>;
};

/** A command that ends with a message instead of an answer. */
export class CliError extends Error {
  readonly exit: Exit;
  readonly problem: Problem;
  /** What to do next, where the message does not say so. */
  readonly next: string | null;
  /** The problem as the API sent it. */
  readonly raw: string | null;

  constructor(exit: Exit, problem: Problem, more: { next?: string | null; raw?: string | null } = {}) {
    super(problem.detail);
    this.name = 'CliError';
    this.exit = exit;
    this.problem = problem;
    this.next = more.next ?? null;
    this.raw = more.raw ?? null;
  }
}

const titles: Partial<Record<Exit, string>> = {
  usage: 'The command is not valid',
  unauthenticated: 'A valid key is needed',
  forbidden: 'Not allowed',
  notFound: 'Not found',
  conflict: 'In conflict with the current state',
  unavailable: 'Not available right now',
};

/** An error that this program found itself; its code begins with CLI_ and its status is 0. */
export function localError(exit: Exit, detail: string, next: string | null = null): CliError {
  const name = exit.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const problem: Problem = {
    type: `urn:dreamnet:problem:cli-${name}`,
    title: titles[exit] ?? 'Unexpected',
    status: 0,
    detail,
    code: `CLI_${name.replaceAll('-', '_').toUpperCase()}`,
    requestId: null,
  };
  return new CliError(exit, problem, { next });
}

export function usage(detail: string, next: string | null = null): CliError {
  return localError('usage', detail, next);
}

const nextSteps: Partial<Record<Exit, string>> = {
  unauthenticated: 'Give a key: --key-file FILE, --as admin|operator, or DREAMNET_KEY_FILE.',
  forbidden: '`dreamnet me` shows what this key may do; --as or --key-file takes another one.',
  unavailable: '`dreamnet status` shows which part is down; then try again.',
  limit: 'Wait a moment, then try again.',
};

/** The error behind an answer of the API; null when its body is not problem+json. */
export function apiError(body: unknown, raw: string): CliError | null {
  if (!isProblem(body)) return null;
  const exit = exitOf(body);
  return new CliError(exit, body, { next: nextSteps[exit] ?? null, raw });
}

function isProblem(body: unknown): body is Problem {
  if (typeof body !== 'object' || body === null) return false;
  const { code, status, detail, title } = body as Record<string, unknown>;
  return [code, detail, title].every((each) => typeof each === 'string') && typeof status === 'number';
}
